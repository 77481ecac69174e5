"""Decoders whose options are lists."""

from collections.abc import Callable
from pathlib import Path

import pytest

from msbench.plugins.loading import load_plugins
from msbench.plugins.registry import Registry
from msbench.spec import Part, Trial

Planned = Callable[..., list[Trial]]
Problems = Callable[..., list[str]]

BEAM = 'name = "beam"\nwidth = 2'


def decoders(trials: list[Trial], name: str = "beam") -> list[Part]:
    return [part for part in trials[0].decoders if part.name == name]


def test_a_grid_is_the_product_of_its_lists(planned: Planned) -> None:
    grid = 'name = "beam"\nlabel = "wide"\nwidth = [1, 2, 4]\nlength_penalty = [0.0, 1]'
    beams = decoders(planned(**{BEAM: grid}))
    pairs = {(part.options["width"], part.options["length_penalty"]) for part in beams}
    assert len(beams) == 6
    assert pairs == {(w, p) for w in (1, 2, 4) for p in (0.0, 1.0)}
    assert {part.label for part in beams} == {"wide"}


def test_a_point_is_the_decoder_that_says_it_alone(planned: Planned) -> None:
    bottom = '\n[[decoder]]\nname = "beam"\nwidth = 4\n'
    grid = decoders(planned(**{BEAM: BEAM.replace("2", "[4, 2]")}))
    assert grid == decoders(planned(bottom=bottom))
    twice = planned(bottom=bottom, **{BEAM: BEAM.replace("2", "[2, 4]")})
    assert grid == decoders(twice), "one that two tables name is one"


LISTS = """
from collections.abc import Sequence
import msbench


@msbench.hookimpl
def register_decoders(register):
    register("lists", lists, fits=["seq2seq"])
    register("outer", outer, fits=["seq2seq"])


def lists(
    typed: tuple[float, ...] = (), several: Sequence[int] | None = None, defaulted=[1], free=None,
    one: int | str = 1,
):
    return lambda model, batch: [[] for _ in batch.rows]


def outer(decoder):
    return decoder()
"""


@pytest.fixture
def with_lists(tmp_path: Path) -> Registry:
    file = tmp_path / "lists.py"
    file.write_text(LISTS)
    return load_plugins([str(file)])


def test_a_list_stays_a_value_where_the_option_takes_lists(
    planned: Planned, with_lists: Registry
) -> None:
    text = (
        '\n[[decoder]]\nname = "lists"\ntyped = [0.5, 1]\nseveral = [1, 2]\n'
        'defaulted = [3, 4]\nfree = [5, 6]\none = [7, "8"]\n'
    )
    parts = decoders(planned(with_lists, bottom=text), "lists")
    whole = {"typed": [0.5, 1.0], "several": [1, 2], "defaulted": [3, 4], "free": [5, 6]}
    assert sorted(str(dict(part.options)) for part in parts) == sorted(
        str({**whole, "one": one}) for one in (7, "8")
    )


@pytest.mark.parametrize(
    ("grid", "expected"),
    [
        ("width = []", ["option 'width': an empty list leaves no decoder"]),
        ("width = [4, 2, 4]", ["option 'width': 4 is in the list twice"]),
        (
            'width = [1, "x", true]\nlength_penalty = [0, "y"]',
            [
                "option 'width': Input should be a valid integer, not 'x'",
                "option 'width': Input should be a valid integer, not True",
                "option 'length_penalty': Input should be a valid number, not 'y'",
            ],
        ),
        ("width = [2, 0]", ["option 'width': Input should be greater than or equal to 1, not 0"]),
        ("widht = [1, 2]", ["decoder 'beam' has no option 'widht'; did you mean 'width'?"]),
    ],
)
def test_wrong_grids(problems: Problems, grid: str, expected: list[str]) -> None:
    lines = problems(**{BEAM: f'name = "beam"\n{grid}'})
    assert len(lines) == len(expected), lines
    assert all(line.startswith("decoder[2]: ") for line in lines)
    assert all(any(each in line for line in lines) for each in expected), lines


def test_only_a_decoder_itself_has_a_grid(problems: Problems, with_lists: Registry) -> None:
    nested = '\n[[decoder]]\nname = "outer"\ndecoder = { name = "beam", width = [2, 4] }\n'
    lines = problems(with_lists, bottom=nested, **{"lr = 3e-3\n": "lr = [1e-3, 3e-3]\n"})
    hint = "; several values are for the options of a [[decoder]] itself and for [tuning]"
    assert len(lines) == 2
    assert all(line.endswith(hint) for line in lines), lines
    assert "decoder: decoder 'beam': option 'width': Input should be a valid integer" in lines[1]
