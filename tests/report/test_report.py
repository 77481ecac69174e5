"""The page: whole, inert, the same each time, and clear about bad input."""

import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from handmade import rekeyed
from lxml import html

from msbench.cli.app import main
from msbench.compare.comparison import compare
from msbench.compare.rows import Comparison
from msbench.records.record import Record
from msbench.records.store import read
from msbench.report.drawing import Wanted, draw, drawn_by
from msbench.report.findings import extent, summary
from msbench.report.page import LINES, ROWS, TASKS, report
from msbench.report.plots import PLOTS

REFERENCE = Path(__file__).parents[2] / "tests/kept"

Change = Callable[[dict[str, Any], int], None]


@pytest.fixture(scope="module")
def quick() -> list[dict[str, Any]]:
    """The records of the quick suite, without scores per example."""
    lines = (REFERENCE / "quick/trials.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    for record in records:
        for decoded in record["results"]["decoding"]:
            decoded["examples"] = {}
    return records


def write(folder: Path, records: list[dict[str, Any]], change: Change = lambda r, n: None) -> str:
    """Write the records, each changed; returns the path of the file."""
    changed = deepcopy(records)
    for number, record in enumerate(changed):
        change(record, number)
    path = folder / "trials.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in changed))
    return str(path)


def msbench(*args: str) -> Result:
    return CliRunner().invoke(main, list(args))


def page_of(folder: Path, path: str, *args: str) -> tuple[str, Result]:
    out = folder / "report.html"
    result = msbench("report", path, "-o", str(out), *args)
    assert result.exit_code == 0, result.output
    assert "Traceback" not in result.output
    return out.read_text(encoding="utf-8"), result


@pytest.fixture(scope="module", params=["quick", "optimizers"])
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report of reference results."""
    return page_of(tmp_path_factory.mktemp("page"), str(REFERENCE / request.param))[0]


def test_a_page_is_whole_and_needs_nothing_else(page: str) -> None:
    assert len(page.encode()) < 5e6
    tree = html.fromstring(page)
    ids = tree.xpath("//@id")
    assert len(ids) == len(set(ids))
    links = tree.xpath("//@href | //@src | //@*[name() = 'xlink:href']")
    assert {link for link in links if not link.startswith("#")} == {"data:,"}
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
    assert set(re.findall(r"url\(#([^)]+)\)", page)) <= set(ids)
    assert not tree.xpath("//script | //iframe | //object | //img | //link[@rel='stylesheet']")
    assert "@import" not in page
    assert "default-src 'none'" in tree.xpath("//meta[@http-equiv]/@content")[0]
    order = [section.get("id") for section in tree.xpath("//section")]
    first, *others = PLOTS
    assert order == [first, "summary", "tables", *others, "failures", "provenance"]
    assert tree.xpath("//main//*[local-name() = 'svg' or self::table]")[0].tag.endswith("svg")
    assert len(tree.xpath("//details/div/table")) >= 8


def test_pictures_say_in_words_what_they_show(page: str) -> None:
    pictures = html.fromstring(page).xpath("//*[local-name() = 'svg']")
    assert len(pictures) >= 15
    for picture in pictures:
        assert picture.get("role") == "img"
        title, alt = picture.xpath("./*[local-name() = 'title'] | ./*[local-name() = 'desc']")
        assert picture.get("aria-labelledby") == title.get("id")
        assert picture.get("aria-describedby") == alt.get("id")
        assert re.search(r"\d", alt.text)
        assert len(alt.text) > 40


def test_every_picture_is_drawn_or_its_absence_explained(page: str) -> None:
    for section in html.fromstring(page).xpath("//section"):
        if plot := PLOTS.get(section.get("id")):
            drawn = section.xpath(".//*[local-name() = 'svg']")
            assert drawn or plot.nothing in section.text_content()


def test_verdicts_come_first_with_their_figures(quick: list[dict[str, Any]]) -> None:
    text = report(compare(read(REFERENCE / "quick").records), title="quick")
    summary = html.fromstring(text).get_element_by_id("summary").text_content()
    assert "sam is worse than adamw: 0.717 against 0.819, -0.102 [-0.123, -0.081], p 0.0023" in (
        summary
    )
    assert "lookahead against adamw is undecided, 4 seeds; about 9 would decide" in summary
    assert "beam" not in summary
    assert "5 optimizers on 3 tasks" in html.fromstring(text).find(".//main").text_content()


def test_where_numbers_come_from(page: str) -> None:
    text = html.fromstring(page).get_element_by_id("provenance").text_content()
    for expected in (
        *("msbench 0.1.0", "torch 2.13.0+cpu", "AMD EPYC", "43c9ea88775f4268e540"),
        *("train 1,654", "licence"),
        "msbench info task:numbers-fr",  # generated: there is no licence
    ):
        assert expected in text


def test_the_same_records_give_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["report", str(REFERENCE / "quick"), "-o", "a.html"]
    environment = {**os.environ, "PYTHONHASHSEED": "1"}  # this process has another
    command = [sys.executable, "-m", "msbench", *words]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    monkeypatch.setattr(sys, "argv", ["msbench", *words])  # the page says how it was made
    here, _ = page_of(tmp_path, words[1])
    assert (tmp_path / "a.html").read_text(encoding="utf-8") == here


def test_processes_draw_what_one_does(quick: list[dict[str, Any]]) -> None:
    comparison = compare([Record.from_json(json.dumps(each)) for each in quick])
    tasks = sorted({row["task"] for row in comparison.accuracy})[:2]
    wanted = [Wanted("verdicts", task, "passes", number) for number, task in enumerate(tasks)]
    assert drawn_by(2, comparison, wanted) == [draw(comparison, each) for each in wanted]


def test_an_empty_file_and_a_missing_one(tmp_path: Path) -> None:
    empty = tmp_path / "trials.jsonl"
    empty.touch()
    for command in (["report"], ["plot", "--kind", "curves"]):
        for path, error in ((str(empty), "holds no msbench records"), ("nowhere", "no results")):
            result = msbench(*command, path, "-o", str(tmp_path / "out.svg"))
            assert result.exit_code == 2
            assert error in result.output
            assert not (tmp_path / "out.svg").exists()


def test_a_single_seed(tmp_path: Path, quick: list[dict[str, Any]]) -> None:
    one = [record for record in quick if record["job"]["seed"] == 0]
    text, _ = page_of(tmp_path, write(tmp_path, one))
    assert "one seed each: no interval and no verdict without more" in text
    assert "is undecided, 1 seed, too few" in text
    assert "Verdicts against adamw: 12 undecided." in text


def test_what_was_lost_in_a_search_is_counted() -> None:
    def lost(*stages: str) -> Comparison:
        failures: Any = [{"stage": stage, "seeds": [1, 2]} for stage in stages]
        return Comparison([], [], "adamw", failures=failures)

    def said(*stages: str) -> str:
        return summary(lost(*stages))[-1]

    assert said() == "Every trial ended ok."
    assert said("throughput") == "Every trial ended ok."
    assert said("trial") == "2 trials did not end ok."
    assert said("search") == "2 trials of a search did not end ok."
    assert said("trial", "search", "trial") == "4 trials and 2 trials of a search did not end ok."
    assert "2 trials failed" in extent(lost("trial", "search"))
    assert "failed" not in extent(lost("search")), "a search goes on until rates are too high"


def test_all_failed(tmp_path: Path, quick: list[dict[str, Any]]) -> None:
    def fail(record: dict[str, Any], number: int) -> None:
        record |= {"status": "timeout", "reason": f"took longer than {number % 2} s", "results": {}}

    path = write(tmp_path, quick, fail)
    text, _ = page_of(tmp_path, path)
    tree = html.fromstring(text)
    assert "no trial ended ok: there is nothing to compare" in text
    assert "60 trials did not end ok" in text
    failures = tree.get_element_by_id("failures").text_content()
    assert "took longer than 0 s" in failures
    assert "took longer than 1 s" in failures
    assert not tree.xpath("//*[local-name() = 'svg']")
    result = msbench("plot", path, "--kind", "pareto", "-o", str(tmp_path / "a.png"))
    assert result.exit_code == 2
    assert PLOTS["pareto"].nothing in result.output


def test_mixed_layouts_are_named_on_the_page(tmp_path: Path, quick: list[dict[str, Any]]) -> None:
    def age(record: dict[str, Any], number: int) -> None:
        record["schema"] = 0 if number % 5 == 0 else 1

    text, result = page_of(tmp_path, write(tmp_path, quick, age))
    assert text.count("record layout 0, this msbench reads 1") == 10
    assert "and 2 more lines were skipped" in text
    assert "record layout 0" in result.output


def test_metrics_that_are_no_number(tmp_path: Path, quick: list[dict[str, Any]]) -> None:
    def blank(record: dict[str, Any], number: int) -> None:
        for decoded in record["results"]["decoding"]:
            if record["job"]["optimizer"]["name"] == "sam":
                decoded["metrics"] = dict.fromkeys(decoded["metrics"])
        for point in record["results"]["training"]["curve"][1:]:
            point["validation_loss"] = None

    text, _ = page_of(tmp_path, write(tmp_path, quick, blank), "--baseline", "adamw")
    assert "no trial that ended ok gave a number for" in text
    assert "sam: no trial that ended ok gave a number." in text


def test_an_absent_baseline(tmp_path: Path) -> None:
    result = msbench(
        "report", str(REFERENCE / "quick"), "--baseline", "adam", "-o", str(tmp_path / "a.html")
    )
    assert result.exit_code == 2
    assert "no optimizer 'adam' in these results; did you mean 'adamw'?" in result.output


def test_a_page_that_cannot_be_write(tmp_path: Path) -> None:
    for out in (tmp_path / "no/folder/a.html", tmp_path):
        result = msbench("report", str(REFERENCE / "quick"), "-o", str(out))
        assert result.exit_code == 74
        assert f"cannot write {out}" in result.output


def test_what_is_left_out_is_counted(tmp_path: Path, quick: list[dict[str, Any]]) -> None:
    """Forty strategies on twelve tasks: pictures of some, and the numbers of the others."""
    template = next(r for r in quick if r["job"]["task"]["name"] == "headlines")

    many = []
    for task, strategy in itertools.product(range(12), range(45)):
        record = deepcopy(template)
        record["job"]["task"]["label"] = f"task {task:02}"
        record["job"]["optimizer"]["label"] = f"strategy {strategy:02}"
        many.append(rekeyed(record))
    text, _ = page_of(tmp_path, write(tmp_path, many))
    tree = html.fromstring(text)
    curves = tree.get_element_by_id("curves")
    assert f"The first {TASKS} of 12 tasks are drawn" in curves.text_content()
    assert "37 more are grey" in curves.text_content()
    assert len(curves.xpath(".//*[local-name() = 'svg']")) == 3 * TASKS
    assert f"{44 - LINES} more are in the tables." in text
    accuracy = tree.xpath("//table")[0]
    assert len(accuracy.xpath(".//tbody/tr")) == 12 * 45
    many_rows = [len(table.xpath(".//tbody/tr")) for table in tree.xpath("//table")]
    assert max(many_rows) <= ROWS


@pytest.mark.parametrize(
    ("by", "baseline"),
    [
        *(("optimizer", "adamw"), ("decoder", "greedy"), ("loss", "cross-entropy")),
        *(("model", "encoder"), ("schedule", "linear")),
    ],
)
def test_by_every_axis(by: str, baseline: str, tmp_path: Path) -> None:
    text, _ = page_of(tmp_path, str(REFERENCE / "quick"), "--by", by)
    assert re.search(f"[Vv]erdicts? against {baseline}", text)


@pytest.mark.parametrize(
    "name", ["all", "generation", "model-scale", "multitask", "reinforcement", "translation"]
)
def test_results_of_other_shapes(name: str, tmp_path: Path) -> None:
    text, _ = page_of(tmp_path, str(REFERENCE / name))
    sentences = html.fromstring(text).xpath("//*[@class = 'verdicts' or @class = 'lead']")
    assert len(sentences) >= 4
    assert "nan" not in " ".join(each.text_content() for each in sentences).split()


def test_no_plugin_and_no_torch(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from msbench.records import read;"
        "from msbench.compare import compare; from msbench.report.page import report;"
        f"report(compare(read(Path({str(REFERENCE / 'quick')!r})).records));"
        "loaded = {'torch', 'pandas', 'msbench.plugins.registry', 'matplotlib.pyplot'};"
        "assert not loaded & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path)


def test_records_are_not_needed_twice() -> None:
    records: Iterator[Record] = iter(read(REFERENCE / "quick").records)
    assert "<svg" in report(compare(records))
