"""`msbench microbench`: real parts of real plugins, and what became slower."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from msbench import MsbenchError, Registry
from msbench.cli.app import main
from msbench.compare.microbench import compared
from msbench.microbench.cases import TIMED, WIDTHS, cases, prepared

NEEDY = """
import msbench

@msbench.hookimpl
def register_optimizers(register):
    register("needy", needy)

def needy(model, must):
    raise NotImplementedError
"""


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """pytest-benchmark does not time beside other workers of pytest-xdist; these tests let it."""
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)


def timed(out: Path, *words: str) -> Result:
    return CliRunner().invoke(
        main, ["microbench", "--seconds", "0.01", "--out", str(out), *words], catch_exceptions=False
    )


def only_file(folder: Path) -> Path:
    (file,) = folder.glob("microbench/*.json")
    return file


def test_every_part_is_ready_to_be_timed(registry: Registry) -> None:
    every = cases(registry)
    assert {case.kind for case in every} == set(TIMED)
    parts = {(case.kind, case.name) for case in every}
    torch = [e for kind in TIMED for e in registry.of(kind) if e.learner == "torch"]
    assert parts == {(e.kind, e.name) for e in torch}
    for case in every:
        if case.kind != "optimizer" or case.width == WIDTHS[0]:
            learner, work = prepared(case, registry, "cpu")
            assert learner.parameters() > 0
            assert callable(work)


def test_a_part_of_another_plugin_is_timed_and_a_regression_is_named(tmp_path: Path) -> None:
    first = timed(tmp_path, "--only", "optimizer:schedulefree-sgd", "--fail-over", "10%")
    assert first.exit_code == 0, first.output
    data = json.loads(only_file(tmp_path).read_text())
    names = [f"optimizer:schedulefree-sgd width {width}" for width in (16, 64, 256)]
    assert [each["name"] for each in data["benchmarks"]] == [f"test_part[{n}]" for n in names]
    data["benchmarks"][1]["stats"]["min"] /= 1000
    data["benchmarks"][0]["stats"]["min"] *= 1000
    old = tmp_path / "old.json"
    old.write_text(json.dumps(data))
    words = ("--only", "optimizer:schedulefree-sgd", "--compare", str(old))
    failed = timed(tmp_path / "new", *words, "--fail-over", "400%")
    assert failed.exit_code == 3
    assert f"slower by more than 400%: {names[1]} (up to +" in failed.output
    assert "-100%" in failed.output
    assert max(map(len, failed.stdout.partition("\nTime:")[0].splitlines())) <= 80


def test_a_part_that_cannot_be_run_alone_is_skipped_with_the_reason(
    tmp_path: Path, write_plugin: Callable[..., str]
) -> None:
    done = timed(tmp_path, "--only", "optimizer:needy", "--plugin", write_plugin(NEEDY))
    assert done.exit_code == 0, done.output
    assert "skipped: optimizer 'needy': option 'must' is missing and has no default" in done.output
    assert not list(tmp_path.glob("microbench/*.json"))


def test_a_part_that_fails_is_named(tmp_path: Path, write_plugin: Callable[..., str]) -> None:
    plugin = write_plugin(NEEDY.replace(", must", ""))
    done = timed(tmp_path, "--only", "optimizer:needy", "--plugin", plugin)
    assert done.exit_code == 3
    assert "failed: NotImplementedError" in done.output


def test_names_that_are_not_there_are_told_the_nearest(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(MsbenchError, match="did you mean 'decoder:greedy'"):
        cases(registry, ["decoder:gredy"])
    wrong = tmp_path / "wrong.json"
    case = '{"benchmarks": [{"name": "t[a]", "stats": {"min": %s}}], "machine_info": %s}'
    for text in ("[]", case % ("1", "null"), case % ("0", "{}"), case % ('"x"', "{}")):
        wrong.write_text(text)
        done = timed(tmp_path, "--only", "loss:mse", "--compare", str(wrong))
        assert done.exit_code == 2
        assert "not a file of msbench microbench" in done.output


@pytest.mark.parametrize("seconds", ["inf", "nan", "0"])
def test_a_time_ends(seconds: str, tmp_path: Path) -> None:
    for words in (["microbench"], ["bench", "quick"], ["decode", "quick", "--decoder", "greedy"]):
        option = "--limit" if words[0] == "decode" else "--seconds"
        done = CliRunner().invoke(main, [*words, option, seconds])
        assert done.exit_code == 2
        assert option in done.output


def test_a_case_is_compared_with_itself_by_its_least_time() -> None:
    def file(**least: float) -> dict[str, Any]:
        stats = {name: {"min": value, "median": 9 * value} for name, value in least.items()}
        return {"benchmarks": [{"name": f"t[{n}]", "stats": s} for n, s in stats.items()]}

    rows = compared(file(a=1.2, b=1.0, c=1.0), file(a=1.0, b=0.95), limit=0.1)
    assert [(row["case"], row["slower"]) for row in rows] == [
        ("a", True),
        ("b", False),
        ("c", False),
    ]
