"""The notebook of the documents runs, and says what the command line says."""

import ast
import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

import msbench
from msbench import Fitted, MsbenchError, Results

NOTEBOOK = Path(__file__).parents[2] / "docs/python.ipynb"

TABLES = ("accuracy", "training", "throughput", "targets")


def run_cells(path: Path) -> tuple[dict[str, Any], list[Any]]:
    """(the variables, what each cell shows) of a notebook's code, run in plain Python."""
    variables: dict[str, Any] = {}
    shown = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] != "code":
            continue
        *before, last = ast.parse("".join(cell["source"])).body
        is_shown = isinstance(last, ast.Expr)
        body = before if is_shown else [*before, last]
        exec(compile(ast.Module(body, []), str(path), "exec"), variables)
        if isinstance(last, ast.Expr):
            code = compile(ast.Expression(last.value), str(path), "eval")
            shown.append(eval(code, variables))
    return variables, shown


def said(call: Callable[..., Result], *words: str) -> list[str]:
    return call(*words).stdout.splitlines()


def test_the_notebook(
    call: Callable[..., Result],
    server: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    variables, shown = run_cells(NOTEBOOK)
    assert os.environ["OMP_NUM_THREADS"] == "7"  # that of the caller
    results: Results = variables["results"]
    model: Fitted = variables["model"]
    check_answer(call, results)
    check_tables(call, results)
    check_html(results)
    assert shown[0] is results
    assert shown[3]._repr_svg_().startswith("<svg")
    by_sgd = {row["optimizer"]: row["difference"] for _, row in shown[4].iterrows()}
    by_adamw = {row["optimizer"]: row["difference"] for _, row in shown[1].iterrows()}
    assert by_sgd["adamw"] == pytest.approx(-by_adamw["sgd"])
    recommended = said(call, "recommend", "tickets", "--budget", "60passes")
    assert str(shown[5]).splitlines() == recommended
    assert "use adamw" in recommended[0]
    assert shown[6] == ["billing", "login"]
    check_model(call, model, tmp_path)


def check_answer(call: Callable[..., Result], results: Results) -> None:
    """All but the lines that say how to go on."""
    answer = said(call, "compare", "tickets")
    kept = msbench.results("results/tickets")
    assert str(results).splitlines()[:-3] == answer[:-3] == str(kept).splitlines()[:-3]
    assert len(answer) <= 12
    assert "adamw" in answer[1]


def check_tables(call: Callable[..., Result], results: Results) -> None:
    """Every number of every table is that of `compare --format json`."""
    tables = json.loads(call("compare", "tickets", "--format", "json").stdout)
    for name in TABLES:
        frame = getattr(results, name)
        assert len(frame) == len(tables[name]) > 0
        rows = json.loads(frame.to_json(orient="records", double_precision=15))
        for mine, other in zip(rows, tables[name], strict=True):
            for column, value in other.items():
                if isinstance(value, float):
                    assert mine[column] == pytest.approx(value, rel=1e-9), (name, column)
    assert results.accuracy.attrs["notes"] == tables["notes"]
    verdicts = {row["optimizer"]: row["verdict"] for row in tables["accuracy"] if row["decides"]}
    mine = results.verdicts
    assert dict(zip(mine["optimizer"], mine["verdict"], strict=True)) == verdicts
    assert mine["decides"].all()
    assert not results.compare(baseline="sgd").verdicts["decides"].any()
    points = sum(len(row["passes"]) for row in tables["curves"])
    assert len(results.curves) == points
    assert len(results.trials) == 4
    assert set(results.trials["seed"]) == {0, 1}


def check_html(results: Results) -> None:
    html = results._repr_html_()
    first = str(results).splitlines()[0]
    assert html.startswith(f"<div><p>{first}<br>")
    assert html.count("<details>") >= len(TABLES)
    assert "<script" not in html


def check_model(call: Callable[..., Result], model: Fitted, folder: Path) -> None:
    card = (model.folder / "README.md").read_text()
    assert "test accuracy 1.0" in card
    assert "use adamw" in card
    assert "training, validation and test examples" in card
    texts = ["the charge again", "monday the code", "my invoice"]
    right = ["billing", "login", "billing"]
    (folder / "new.csv").write_text(
        "id,message\n" + "".join(f"{n},{t}\n" for n, t in enumerate(texts))
    )
    assert said(call, "predict", str(model.folder), "new.csv") == right
    call("predict", str(model.folder), "new.csv", "-o", "said.csv")
    lines = (folder / "said.csv").read_text().splitlines()
    assert lines == [
        "id,message,prediction",
        *(f"{n},{t},{r}" for n, (t, r) in enumerate(zip(texts, right, strict=True))),
    ]
    (folder / "plain.txt").write_text("\n".join(texts))
    assert said(call, "predict", str(model.folder), "plain.txt") == right
    (folder / "wrong.csv").write_text("id,text\n1,code\n")
    refused = call("predict", str(model.folder), "wrong.csv", check=2).stderr
    assert "no column 'message'; there is: id, text" in refused
    (folder / "gap.jsonl").write_text('{"message": "code"}\n{"message": " "}\n')
    assert (
        "gap.jsonl:2: 'message' is empty"
        in call("predict", str(model.folder), "gap.jsonl", check=2).stderr
    )
    before = random.getstate()
    assert model.predict(["code"]) == ["login"]
    assert random.getstate() == before
    with pytest.raises(MsbenchError, match="a list of texts"):
        model.predict("one text")
    assert "is not empty" in call("fit", "tickets", "-o", str(model.folder), check=74).stderr
    assert (
        "no strategy 'sam'"
        in call("fit", "tickets", "--optimizer", "sam", "-o", "x", check=2).stderr
    )
    with pytest.raises(MsbenchError, match="is no fitted model"):
        msbench.fitted(folder)
