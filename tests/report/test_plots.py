"""Pictures: what is on them, that colours can be told apart, and files that anything can read."""

import itertools
import json
import math
import statistics
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import CliRunner
from handmade import rekeyed
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.image import imread

from msbench.cli.app import main
from msbench.compare.comparison import compare
from msbench.compare.rows import Comparison
from msbench.errors import MsbenchError
from msbench.records.record import Record
from msbench.records.store import read
from msbench.report import plots
from msbench.report.plots import PLOTS, picture
from msbench.report.plots.decoders import families
from msbench.report.plots.pareto import pareto_front
from msbench.report.plots.series import MOST, choose_series
from msbench.report.plots.style import COLOURS, DARK, GRID, INK, PAPER, short
from msbench.report.plots.svg import Picture, pdf, svg
from msbench.spec import PICTURES, UNITS

REFERENCE = Path(__file__).parents[2] / "tests/kept"
SHOWN = Path(__file__).parents[2] / "results/reference"
"""What documents show."""
DRAWN = Path(__file__).parents[2] / "docs/pictures"


@pytest.fixture(scope="module")
def optimizers() -> Comparison:
    """Eighteen strategies, tuned, on three tasks."""
    return compare(read(REFERENCE / "optimizers").records)


@pytest.fixture(scope="module")
def quick() -> Comparison:
    """Five strategies on three tasks, two of which have two decoders."""
    return compare(read(REFERENCE / "quick").records)


def draw(comparison: Comparison, kind: str, *tasks: str) -> Picture:
    return picture(comparison, PLOTS[kind], tasks)


def test_curves_of_two_losses_share_no_axis(quick: Comparison) -> None:
    """Nats and squared errors are no two heights of one thing."""
    curves = [{**row, "loss": "mse"} if row["optimizer"] == "sgd" else row for row in quick.curves]
    mixed = replace(quick, curves=curves)
    panels = PLOTS["curves"].panels(mixed, ["bbc-news"])
    assert list(panels) == ["bbc-news, cross-entropy", "bbc-news, mse"]
    drawn = draw(mixed, "curves", "bbc-news")
    assert {"bbc-news, cross-entropy", "bbc-news, mse"} <= texts(drawn)
    assert len({axes.get_ylim() for axes in drawn.figure.axes}) == 2


def texts(drawn: Picture) -> set[str]:
    """Everything that is written in a picture."""
    root = ElementTree.fromstring(svg(drawn))
    return {element.text or "" for element in root.iter() if element.tag.endswith("}text")}


def test_every_file_with_a_plot_is_listed_by_its_name() -> None:
    files = {path.stem for path in Path(plots.__path__[0]).glob("*.py")} - {"__init__"}
    modules = {name: import_module(f"msbench.report.plots.{name}") for name in files}
    assert {name for name, module in modules.items() if hasattr(module, "PLOT")} == set(PICTURES)
    assert tuple(PLOTS) == tuple(plot.name for plot in PLOTS.values()) == PICTURES


def test_help_names_the_pictures_and_imports_none() -> None:
    program = (
        "import sys\nfrom msbench.cli import main\n"
        "main(['plot', '--help'], standalone_mode=False)\n"
        "assert not {'numpy', 'matplotlib'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"[{'|'.join(PICTURES)}]" in "".join(done.stdout.split())


def test_curves_are_medians_over_seeds() -> None:
    records = read(REFERENCE / "optimizers").records
    rows = compare(records).curves
    chosen = [
        r
        for r in records
        if r.is_trial and not r.is_search and r.job["optimizer"]["name"] == "nesterov"
        and r.job["task"]["name"] == "verses-lm"
    ]  # fmt: skip
    row = next(r for r in rows if (r["task"], r["optimizer"]) == ("verses-lm", "nesterov"))
    ok = [r.results["training"]["curve"] for r in chosen if r.status == "ok"]
    assert (row["n"], row["n_ok"]) == (len(chosen), len(ok)) == (5, 4)
    for place in range(len(ok[0])):
        points = [curve[place] for curve in ok]
        for name in (*UNITS, "validation_loss"):
            assert row[name][place] == statistics.median(point[name] for point in points)
        losses = [point["validation_loss"] for point in points]
        assert (row["lowest"][place], row["highest"][place]) == (min(losses), max(losses))


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=1, max_size=12))
def test_nobody_beats_those_on_the_front(points: list[tuple[int, int]]) -> None:
    rows = [{"cost": c, "mean": m, "n": 1, "n_ok": 1} for c, m in points]
    for lower in (False, True):
        front = [(r["cost"], r["mean"]) for r in pareto_front(rows, "cost", lower)]
        sign = 1 if lower else -1

        def beats(one: tuple[int, int], other: tuple[int, int], sign: int = sign) -> bool:
            a, b = (one[0], sign * one[1]), (other[0], sign * other[1])
            return a != b and a[0] <= b[0] and a[1] <= b[1]

        assert set(front) == {p for p in points if not any(beats(q, p) for q in points)}


def test_a_strategy_that_lost_trials_is_on_no_front() -> None:
    rows = [{"cost": 1, "mean": 9, "n": 2, "n_ok": 1}, {"cost": 2, "mean": 5, "n": 2, "n_ok": 2}]
    assert [row["cost"] for row in pareto_front(rows, "cost", False)] == [2]


def test_the_baseline_is_first_and_looks_are_the_same_everywhere(optimizers: Comparison) -> None:
    series = choose_series(optimizers)
    assert series.names[0] == optimizers.baseline == "adamw"
    assert series.names[1] == "muon"  # the best average rank
    assert len(series.names) == MOST
    assert len(series.names) + series.left_out == 18
    for kind in ("curves", "pareto", "profile", "tuning"):
        assert {*series.names, "10 others"} <= texts(draw(optimizers, kind))


def test_names_begin_with_what_is_compared_then_the_optimizer() -> None:
    records = read(REFERENCE / "model-scale").records
    assert choose_series(compare(records, by="decoder")).axes == ["optimizer", "model"]
    assert choose_series(compare(records, by="model")).axes == ["model", "optimizer"]


def test_a_failed_throughput_measurement_is_named_by_what_is_known(quick: Comparison) -> None:
    series = choose_series(quick, ["optimizer", "loss"])
    assert series.name({"optimizer": "sgd", "loss": ""}) == "sgd"


def test_the_ends_of_curves_are_said(optimizers: Comparison) -> None:
    row = next(r for r in optimizers.curves if (r["task"], r["optimizer"]) == ("bbc-news", "muon"))
    alt = draw(optimizers, "curves", "bbc-news").alt
    assert (
        f"muon {row['validation_loss'][0]:.3g} at 100 to {row['validation_loss'][-1]:.3g} at 200"
        in alt
    )
    assert "up to 5 seeds" in alt


def test_winners_are_marked_and_said(optimizers: Comparison) -> None:
    row = next(r for r in optimizers.tuning if (r["task"], r["optimizer"]) == ("bbc-news", "adamw"))
    alt = draw(optimizers, "tuning", "bbc-news").alt
    assert f"adamw {row['validation_loss']:.3g} at {row['options']['lr']:.3g}" in alt
    assert len(row["searched"]) == row["points"]


def test_ranks_are_drawn_with_their_groups(optimizers: Comparison) -> None:
    names = {row["strategy"] for row in optimizers.ranks}
    distance = f"critical difference {optimizers.ranks[0]['critical_difference']:.2f}"
    assert names | {distance} <= texts(draw(optimizers, "ranks"))


def test_names_beside_ranks_fit_on_the_picture(optimizers: Comparison) -> None:
    """Also those of strategies that other pictures do not name."""
    ranks = [*optimizers.ranks[:-1], {**optimizers.ranks[-1], "strategy": "strategy" * 9}]
    figure = draw(replace(optimizers, ranks=ranks), "ranks").figure
    FigureCanvasAgg(figure).draw()
    labels = figure.axes[0].get_yticklabels()
    assert min(label.get_window_extent().x0 for label in labels) >= 0


def test_decoders_are_named_with_their_time(quick: Comparison) -> None:
    assert [*PLOTS["decoders"].panels(quick)] == ["headlines", "numbers-fr"]
    drawn = draw(quick, "decoders", "headlines")
    assert {"greedy", "beam"} <= texts(drawn)
    beam = next(r for r in quick.throughput if (r["task"], r["decoder"]) == ("headlines", "beam"))
    assert f"in {1e3 / beam['per_second']:.3g} ms" in drawn.alt


def test_decoders_of_one_strategy_without_a_family() -> None:
    records = read(REFERENCE / "quick").records
    one = [r for r in records if r.is_trial and r.job["optimizer"]["name"] == "adamw"]
    drawn = draw(compare(one), "decoders")
    assert {"greedy", "beam"} <= texts(drawn)
    assert "adamw: greedy 0.24 in" in drawn.alt


def test_the_same_comparison_gives_the_same_bytes(quick: Comparison) -> None:
    for kind in ("curves", "pareto", "profile"):
        assert svg(draw(quick, kind)) == svg(draw(quick, kind))


@pytest.mark.parametrize("suffix", ["svg", "png"])
@pytest.mark.parametrize("kind", PICTURES)
def test_plot_writes_each_picture(kind: str, suffix: str, tmp_path: Path) -> None:
    results = REFERENCE / ("quick" if kind == "decoders" else "optimizers")
    for theme in ("light", "dark"):
        out = tmp_path / f"{theme}.{suffix}"
        command = ["plot", str(results), "--kind", kind, "--theme", theme, "-o", str(out)]
        result = CliRunner().invoke(main, command)
        assert result.exit_code == 0, result.output
        assert len(result.output) > 60  # what it shows, in words
    light, dark = ((tmp_path / f"{theme}.{suffix}").read_bytes() for theme in ("light", "dark"))
    assert light != dark
    if suffix == "png":
        assert light[:8] == b"\x89PNG\r\n\x1a\n"
        assert imread(BytesIO(dark))[..., :3].mean() < 0.4 < imread(BytesIO(light))[..., :3].mean()
    else:
        root = ElementTree.fromstring(light)
        assert "var(" not in light.decode()
        assert {root.attrib["width"], root.attrib["height"]} <= set(root.attrib["viewBox"].split())
        assert INK not in dark.decode()
        assert INK in light.decode()


def test_pdf_is_for_print(quick: Comparison) -> None:
    light, again = (pdf(draw(quick, "profile")) for _ in range(2))
    assert light == again
    assert light.startswith(b"%PDF-")
    assert b"CreationDate" not in light
    assert b"/FontFile2" in light  # TrueType, which can be searched and which journals take
    assert pdf(draw(quick, "profile"), "dark") != light


@pytest.mark.parametrize("path", sorted(DRAWN.glob("*.svg")), ids=lambda path: path.stem)
def test_the_documents_show_what_the_records_say(path: Path) -> None:
    """`make pictures` makes them again."""
    suite, kind, theme = path.stem.rsplit("-", 2)
    comparison = compare(read(SHOWN / suite).records)
    assert path.read_text(encoding="utf-8") == svg(draw(comparison, kind), theme)


def test_what_plot_cannot_do_is_said(tmp_path: Path) -> None:
    for extra, said in (
        (["--kind", "tuning", "-o", "a.svg"], "no picture of tuning: no learning rate"),
        (["--kind", "curves", "-o", "a.eps"], "a picture ends in .svg, .png or .pdf"),
        (["--kind", "curves", "--task", "headline", "-o", "a.svg"], "did you mean 'headlines'?"),
        (["--kind", "curves", "-o", str(tmp_path / "no/a.svg")], "cannot write"),
    ):
        result = CliRunner().invoke(main, ["plot", str(REFERENCE / "quick"), *extra])
        assert result.exit_code in (2, 74)
        assert said in result.output
        assert "Traceback" not in result.output


def test_a_kind_without_data_is_an_error(quick: Comparison) -> None:
    with pytest.raises(MsbenchError, match="no learning rate"):
        draw(quick, "tuning")


def test_strategies_without_a_name_are_not_lost() -> None:
    """A task on which only strategies without a name ran has them in grey."""
    lines = (REFERENCE / "quick/trials.jsonl").read_text().splitlines()
    records = []
    for line in lines:
        data: dict[str, Any] = json.loads(line)
        if data["job"]["task"]["name"] == "bbc-news":
            for copy in range(12):
                one = json.loads(line)
                one["job"]["optimizer"]["label"] = f"{one['job']['optimizer']['name']} {copy}"
                one["results"]["decoding"][0]["metrics"]["accuracy"] += copy / 1000
                records.append(Record.from_json(json.dumps(rekeyed(one))))
        elif data["job"]["optimizer"]["name"] == "sgd":
            records.append(Record.from_json(line))
    comparison = compare(records, "adamw 0")
    assert "sgd" not in choose_series(comparison).names
    assert "1 other" in texts(draw(comparison, "curves", "headlines"))


def test_long_names_are_shortened_in_the_middle() -> None:
    assert short("adamw") == "adamw"
    assert short("a" * 300) == "a" * 15 + "…" + "a" * 8
    assert len(short("b\x00" * 200, 10)) == 10
    assert short("\u202eevil") == "\ufffdevil"


def linear(colour: str) -> np.ndarray:
    channels = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


XYZ = np.array([[0.4125, 0.3576, 0.1804], [0.2127, 0.7152, 0.0722], [0.0193, 0.1192, 0.9503]])
SEEN = {
    "all cones": np.eye(3),
    # Machado, Oliveira and Fernandes, 2009, severity 1.
    "no red cones": np.array(
        [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]]
    ),
    "no green cones": np.array(
        [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]
    ),
}


def lab(light: np.ndarray) -> np.ndarray:
    xyz = XYZ @ light / (XYZ @ np.ones(3))
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("eyes", SEEN)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_can_be_told_apart(theme: str, eyes: str) -> None:
    colours = [c if theme == "light" else DARK[c] for c in (INK, *COLOURS)]
    assert len(colours) == MOST
    seen = [lab(np.clip(SEEN[eyes] @ linear(colour), 0, 1)) for colour in colours]
    for one, other in itertools.combinations(seen, 2):
        assert math.dist(one, other) > 20
    for colour in colours:
        lights = sorted(float(XYZ[1] @ linear(c)) for c in (colour, PAPER[theme]))
        assert (lights[1] + 0.05) / (lights[0] + 0.05) > 3  # WCAG 1.4.11
    assert GRID in DARK


def test_decoders_that_differ_in_one_number_are_one_family() -> None:
    """The rest stand alone, under their labels."""
    decoders = [
        ("greedy", "greedy", {}),
        ("beam 16", "beam", {"width": 16, "length_penalty": 0.0}),
        ("beam 2", "beam", {"width": 2, "length_penalty": 0.0}),
        ("beam 4+", "beam", {"width": 4, "length_penalty": 1.0}),
        ("beam 2+", "beam", {"width": 2, "length_penalty": 1.0}),
        ("beam all", "beam", {"width": None, "length_penalty": 1.0}),
        ("rerank", "rerank", {"by": "loss", "count": 8}),
        ("again", "greedy", {}),
    ]
    found = families([{"decoder": d, "name": n, "options": o} for d, n, o in decoders])
    assert [(name, [number for number, _ in rows]) for name, rows in found] == [
        ("greedy", [""]),
        ("beam by width length_penalty=0.0", ["2", "16"]),
        ("beam by width length_penalty=1.0", ["2", "4"]),
        ("beam all", ["None"]),
        ("rerank", ["8"]),
        ("again", [""]),
    ]
