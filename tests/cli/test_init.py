"""`msbench init` and `msbench data check`: what is said of own files, and a suite that runs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from msbench.builtin.tasks.profile import guessed
from msbench.plan.suite import load_suite
from msbench.plan.trials import plan
from msbench.plugins.registry import Registry
from msbench.run.job import run_job

Call = Callable[..., Result]

TICKETS = [(n, f"naïve ticket number {n // 2} about thing {n % 7}", f"queue {n % 3}")
           for n in range(120)]  # fmt: skip
WRONG = "121;no queue;\n122;a;b;c\n"


def tickets() -> str:
    rows = "".join(f"{n};{text};{queue}\n" for n, text, queue in TICKETS)
    return f"id;message;queue\n{rows}{WRONG}"


def test_a_file_is_looked_at_and_its_suite_runs(
    call: Call, registry: Registry, fingerprint: Callable[..., str]
) -> None:
    Path("tickets.csv").write_bytes(tickets().encode("cp1252"))
    said = call("init", "tickets.csv").stdout
    assert "122 rows, encoding cp1252, delimiter ';'; read as classify" in said
    assert "from column 'message' to 'queue'" in said
    assert "columns: id, message, queue" in said
    assert "labels: 3, from 'queue 0' (40 rows) to 'queue 2' (40)" in said
    assert "length: 7 words in the median, 7 at most" in said
    assert "bad rows: 2, the first in line 122: 'queue' is empty" in said
    assert said.rstrip().endswith("next: msbench run tickets.toml")
    suite = load_suite("tickets.toml")
    trials = plan(suite, registry, (), fingerprint)
    trial = next(each for each in trials if each.optimizer.name == "adamw")
    assert trial.model.name == "bag"
    record = run_job(trial)
    assert record.status == "ok", record.reason
    assert "tickets.toml exists" in call("init", "tickets.csv", check=2).stderr


def test_all_bad_rows_are_listed_at_once(call: Call) -> None:
    Path("tickets.csv").write_text(tickets())
    lines = call("data", "check", "tickets.csv", check=2).stdout.splitlines()
    assert lines[0] == "tickets.csv:122: 'queue' is empty"
    assert lines[1].startswith("tickets.csv:123: more cells than its header")
    assert lines[2] == "tickets.csv: 120 rows are good as classify of 'message', 'queue', 2 bad"
    words = ["data", "check", "tickets.csv", "--target", "id", "--kind", "seq2seq"]
    assert "121 rows are good as seq2seq of 'message', 'id', 1 bad" in call(*words, check=2).stdout


DOCUMENTS = "\n\n".join(f"It was the age of wisdom {n}" for n in range(20))

GUESSES: list[tuple[str, Any, str, str, str]] = [
    ("a.txt", "\n".join(f"text {n}\t{n % 3}" for n in range(30)), "classify", "text", "label"),
    ("a.txt", "\n".join(f"text {n}\ttarget {n}" for n in range(30)), "seq2seq", "text", "target"),
    ("a.conll", "fly O\nto O\nOslo B-city\n\n" * 9, "tag", "text", "tags"),
    ("a.txt", DOCUMENTS, "lm", "text", ""),
    ("a.jsonl", [{"text": ["fly", "home"], "tags": ["O", "O"]}] * 9, "tag", "text", "tags"),
    (
        "a.jsonl",
        [{"en": f"a long word {n}", "fr": f"mot {n}"} for n in range(9)],
        "seq2seq",
        "en",
        "fr",
    ),
    ("a.jsonl", [{"article": f"some long text {n}"} for n in range(9)], "lm", "article", ""),
    ("a.csv", "label,text\n" + "a,b c\nd,e f\n" * 9, "classify", "text", "label"),
    ("a.tsv", "Body\tTopic\n" + "b, c\ta\ne, f\td\n" * 9, "classify", "Body", "Topic"),
]


@pytest.mark.parametrize(("file", "content", "kind", "source", "target"), GUESSES)
def test_guesses(
    file: str, content: Any, kind: str, source: str, target: str, tmp_path: Path
) -> None:
    path = tmp_path / file
    path.write_text(content if isinstance(content, str) else "\n".join(map(json.dumps, content)))
    form = guessed(path, {})
    assert (form.kind, form.source, form.predicted) == (kind, source, target)
    assert guessed(path, {"kind": "lm"}).kind == "lm"


def test_a_language_without_spaces_is_told(call: Call) -> None:
    rows = "".join(f"第{n}个句子很长很长,标签{n % 2}\n" for n in range(40))
    Path("zh.csv").write_text(f"text,label\n{rows}", encoding="utf-8")
    said = call("init", "zh.csv", "-o", "other.toml").stdout
    assert "language: written without spaces between words" in said
    assert load_suite("other.toml").tasks[0].options["kind"] == "classify"
