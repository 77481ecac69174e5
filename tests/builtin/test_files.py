"""The user's own files, as every kind of task; and what is wrong with them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from msbench import DataError, Task
from msbench.builtin.tasks.files import files
from msbench.plan.suite import load_suite
from msbench.plan.trials import plan
from msbench.plugins.registry import Registry
from msbench.run.job import run_job

REVIEWS = [(f"it was a {word} film , number {n}", label) for n in range(40)
           for word, label in (("good", "yes"), ("bad", "no"))]  # fmt: skip
TAGGED = [(["fly", "to", f"town{n}", "now"], ["O", "O", "B-city", "O"]) for n in range(60)]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Relative paths are from the current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def table(path: str, rows: list[tuple[str, ...]], header: str) -> None:
    comma, quote = ("\t", "") if path.endswith("tsv") else (",", '"')
    lines = [
        comma.join(f"{quote}{cell}{quote}" for cell in row)
        for row in [tuple(header.split()), *rows]
    ]
    Path(path).write_text("\n".join(lines) + "\n")


def lines(path: str, rows: list[dict[str, Any]]) -> None:
    Path(path).write_text("\n".join(map(json.dumps, rows)))


def test_labels_from_every_format() -> None:
    table("a.csv", REVIEWS, "text label")
    table("a.tsv", REVIEWS, "text label")
    lines("a.jsonl", [{"text": text, "label": label, "more": 1} for text, label in REVIEWS])
    Path("a.txt").write_text("\n".join(f"{text}\t{label}" for text, label in REVIEWS))
    tasks = [files("classify", f"a.{suffix}") for suffix in ("csv", "tsv", "jsonl", "txt")]
    assert len({task.fingerprint() for task in tasks}) == 1
    assert [len(split) for split in tasks[0].splits.values()] == [64, 8, 8]
    assert tasks[0].notes["labels"] == ["no", "yes"]
    assert len(tasks[0].notes["sha256"]["train"]) == 64


def test_tags_from_every_format() -> None:
    lines("a.jsonl", [{"text": words, "tags": tags} for words, tags in TAGGED])
    table("a.csv", [(" ".join(words), " ".join(tags)) for words, tags in TAGGED], "text tags")
    text = "\n\n".join(
        "\n".join(f"{word} XX {tag}" for word, tag in zip(*pair, strict=True)) for pair in TAGGED
    )
    Path("a.conll").write_text(text)
    tasks = [files("tag", f"a.{suffix}") for suffix in ("jsonl", "csv", "conll")]
    assert len({task.fingerprint() for task in tasks}) == 1
    assert tasks[0].notes["labels"] == ["B-city", "O"]
    perfect = tasks[0].test.target.tolist()
    assert tasks[0].score(perfect, tasks[0].test.references).metrics["span_f1"] == 1.0


def test_text_to_text_pairs_and_documents() -> None:
    rows = [{"fr": f"mot {n}", "en": f"word {n}", "g": n // 4} for n in range(100)]
    lines("a.jsonl", rows)
    task = files("seq2seq", "a.jsonl", source="en", target="fr", group="g", metric="chrf")
    assert (task.kind, task.metric) == ("seq2seq", "chrf")
    assert task.texts is not None
    numbers = [{int(s.split()[1]) // 4 for s, _ in part} for part in task.texts.splits.values()]
    assert not (numbers[0] & numbers[1])
    assert not (numbers[0] & numbers[2])
    assert not (numbers[1] & numbers[2])
    lines("b.jsonl", [{"a": f"x {n}", "b": f"x {n % 3}", "same": n % 3 == 0} for n in range(99)])
    matched = files("classify", "b.jsonl", source="a", second="b", target="same")
    assert matched.segments == 2
    Path("c.txt").write_text("\n\n".join(f"Chapter {n}.\nIt begins à propos." for n in range(50)))
    read = files("lm", "c.txt", max_length=8, prompt=2, vocabulary=280)
    assert read.metric == "bits_per_byte"
    size = sum(reference[0] for split in read.splits.values() for reference in split.references)
    assert size == sum(len(f"Chapter {n}.\nIt begins à propos.".encode()) for n in range(50))


def test_splits_are_seeded_nested_and_without_repeats() -> None:
    table("a.csv", REVIEWS + REVIEWS[:20], "text label")
    one, same, other = (files("classify", "a.csv", split_seed=s) for s in (1, 1, 2))
    assert one.fingerprint() == same.fingerprint() != other.fingerprint()
    assert one.notes["also_in_train"] == {"validation": 0, "test": 0}
    sizes = [len(split) for split in one.splits.values()]
    assert sizes == [64, 8, 8]
    assert texts(files("classify", "a.csv", train_size=10)) < texts(
        files("classify", "a.csv", train_size=20)
    )


def texts(task: Task) -> set[tuple[str, str]]:
    assert task.texts is not None
    return set(task.texts.splits["train"])


def test_split_files_are_kept_and_what_leaks_is_said() -> None:
    table("train.csv", REVIEWS[:60], "text label")
    table("test.csv", REVIEWS[50:], "text label")
    task = files("classify", "train.csv", test="test.csv")
    assert len(task.test) == 30
    assert len(task.train) + len(task.validation) == 60
    assert task.notes["also_in_train"]["test"] > 0
    assert set(task.notes["sha256"]) == {"train", "test"}
    every = files("classify", "train.csv", validation="test.csv", test="test.csv")
    assert [len(split) for split in every.splits.values()] == [60, 30, 30]


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "absent": ({"kind": "classify", "train": "no.csv"}, r"no.csv \(from /.*No such file"),
    "column": (
        {"kind": "classify", "train": "a.csv", "target": "lable"},
        "a.csv:2 has no 'lable'; there is: text, label",
    ),
    "metric": ({"kind": "tag", "train": "a.csv", "metric": "bleu"}, "no metric 'bleu'"),
    "noise": ({"kind": "lm", "train": "c.txt", "label_noise": 0.1}, "label_noise is for classify"),
    "size": ({"kind": "classify", "train": "a.csv", "train_size": 999}, r"0 \(all\) to 64"),
    "one class": (
        {"kind": "classify", "train": "one.csv"},
        r"two labels or more to learn, found: \['yes'\]",
    ),
    "one class, noise": (
        {"kind": "classify", "train": "one.csv", "label_noise": 0.1},
        "label_noise needs two labels or more",
    ),
    "commas": ({"kind": "classify", "train": "commas.csv"}, "commas.csv:2 has more cells than"),
    "no label": ({"kind": "classify", "train": "holes.csv"}, "holes.csv:3: 'label' is empty"),
    "twice": ({"kind": "classify", "train": "twice.csv"}, "two columns of one name: text, text"),
    "huge": ({"kind": "lm", "train": "huge.csv"}, r"huge.csv:\d: field larger than"),
    "no columns": (
        {"kind": "lm", "train": "many.txt", "group": "customer"},
        "plain text and has no columns: group is of no use",
    ),
    "second": ({"kind": "seq2seq", "train": "a.csv", "second": "label"}, "second is for classify"),
    "middle": ({"kind": "seq2seq", "train": "three.txt"}, r"not text, tab, .*\['a', 'b', 'c'\]"),
    "not BIO": ({"kind": "tag", "train": "pos.csv"}, 'not \'DET\'; .* metric = "tag_accuracy"'),
    "list": ({"kind": "lm", "train": "nested.jsonl"}, "'text' is not one text: \\['a', 'b'"),
    "surrogate": ({"kind": "lm", "train": "lone.jsonl"}, "lone.jsonl:1 is not JSON"),
    "no rows": ({"kind": "classify", "train": "empty.csv"}, "empty.csv has no rows"),
    "nothing": ({"kind": "lm", "train": "empty.txt"}, "empty.txt is empty"),
    "few": ({"kind": "classify", "train": "few.csv"}, "the validation split is empty"),
    "json": ({"kind": "lm", "train": "bad.jsonl"}, "bad.jsonl:2 is not JSON"),
    "object": ({"kind": "lm", "train": "list.jsonl"}, "list.jsonl:1 is not a JSON object"),
    "tabs": ({"kind": "seq2seq", "train": "c.txt"}, "c.txt: a line without a tab: 'no tab here'"),
    "bytes": ({"kind": "lm", "train": "latin.txt"}, "latin.txt is not UTF-8"),
    "words": ({"kind": "tag", "train": "ragged.csv"}, "2 words and 1 tags in the train split"),
    "vocabulary": ({"kind": "lm", "train": "many.txt", "vocabulary": 99}, "must be 260 or more"),
    "prompt": ({"kind": "lm", "train": "many.txt", "max_length": 8}, "1 to below block=8, not 16"),
    "length": ({"kind": "classify", "train": "a.csv", "max_length": 0}, "1 or more, not 0"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_one_clear_error(case: str) -> None:
    table("a.csv", REVIEWS, "text label")
    table("few.csv", REVIEWS[:6], "text label")
    Path("empty.csv").write_text("text,label\n")
    Path("empty.txt").write_text("\n\n")
    Path("bad.jsonl").write_text('{"text": "a"}\n{"text"\n')
    Path("list.jsonl").write_text("[1]\n")
    Path("c.txt").write_text("no tab here\n")
    Path("latin.txt").write_bytes("à".encode("latin-1"))
    Path("many.txt").write_text("\n\n".join(f"document {n}" for n in range(30)))
    table("ragged.csv", [("a b", "O")] * 2 + [(f"c{n} d", "O") for n in range(30)], "text tags")
    table("one.csv", [(f"text {n}", "yes") for n in range(40)], "text label")
    Path("commas.csv").write_text("text,label\nhello, number 1,yes\n")
    Path("holes.csv").write_text("text,label\na,yes\nb,\n")
    Path("twice.csv").write_text("text,text\na,b\n")
    Path("huge.csv").write_text("text\n" + "x" * 200_000 + "\n")
    Path("three.txt").write_text("a\tb\tc\n")
    table("pos.csv", [(f"the cat{n}", "DET NOUN") for n in range(30)], "text tags")
    Path("nested.jsonl").write_text('{"text": ["a", "b"]}\n')
    Path("lone.jsonl").write_text('{"text": "\\ud800"}\n')
    options, said = BAD[case]
    with pytest.raises(DataError, match=said) as caught:
        files(**options)
    assert "\n" not in str(caught.value)


def test_texts_that_recur_with_another_label_do_not_leak() -> None:
    rows = [(f"text {n}", label) for n in range(100) for label in ("yes", "no")]
    table("a.csv", rows, "text label")
    task = files("classify", "a.csv")
    assert [len(split) for split in task.splits.values()] == [160, 20, 20]
    assert task.notes["also_in_train"] == {"validation": 0, "test": 0}


def test_rows_that_only_look_broken() -> None:
    """Quotes in a .tsv, separators of other systems in JSON and text, numbers as tags."""
    Path("a.tsv").write_text("text\tlabel\n" + "".join(f'a "{n}\t{n % 2}\n' for n in range(50)))
    assert sum(map(len, files("classify", "a.tsv").splits.values())) == 50
    rows = [{"text": f"one\u2028two {n}\x0c"} for n in range(50)]
    Path("a.NDJSON").write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
    assert sum(map(len, files("lm", "a.NDJSON", vocabulary=300).splits.values())) == 50
    lines("tags.jsonl", [{"text": [n, "x"], "tags": [1, 2]} for n in range(50)])
    task = files("tag", "tags.jsonl", metric="tag_accuracy")
    assert task.notes["labels"] == ["1", "2", "O"]


def test_all_of_a_sorted_file_is_sampled_by_train_size() -> None:
    table("train.csv", [(f"{label} {n}", label) for label in ("a", "b") for n in range(50)],
          "text label")  # fmt: skip
    table("test.csv", [(f"test {n}", "ab"[n % 2]) for n in range(10)], "text label")
    task = files("classify", "train.csv", validation="test.csv", test="test.csv", train_size=20)
    assert task.notes["labels"] == ["a", "b"]


def test_labels_that_training_lacks() -> None:
    table("train.csv", REVIEWS, "text label")
    table("test.csv", [("a film", "maybe")], "text label")
    with pytest.raises(DataError, match=r"the test split has labels that training lacks: \['maybe"):
        files("classify", "train.csv", test="test.csv")


SUITE = """
seeds = 1
baseline = "adamw"
throughput = { rounds = 0 }
training = { passes = 30, batch_size = 8, validations = 1 }

[[task]]
name = "files"
label = "mine"
kind = "classify"
train = "a.csv"

[[task]]
name = "files"
label = "words"
kind = "tag"
train = "a.jsonl"

[[task]]
name = "files"
label = "prose"
kind = "lm"
train = "c.txt"
max_length = 12
prompt = 4
vocabulary = 300

[[model]]
name = "encoder"
width = 16

[[model]]
name = "bag"
tasks = ["mine"]

[[model]]
name = "causal-lm"
width = 16

[[optimizer]]
name = "adamw"
lr = 3e-2

[[decoder]]
name = "argmax"

[[decoder]]
name = "likelihood"

[[decoder]]
name = "greedy"
"""


def test_a_suite_of_own_files_runs(
    registry: Registry, fingerprint: Callable[..., str], tmp_path: Path
) -> None:
    """The option `kind` says what each task is, so that only what fits it is crossed with it."""
    table("a.csv", REVIEWS, "text label")
    lines("a.jsonl", [{"text": words, "tags": tags} for words, tags in TAGGED])
    Path("c.txt").write_text("\n\n".join(f"It was the age of wisdom {n}" for n in range(50)))
    path = tmp_path / "own.toml"
    path.write_text(SUITE)
    trials = plan(load_suite(str(path)), registry, (), fingerprint)
    done = {(t.task.label, t.model.name): run_job(t) for t in trials}
    assert sorted(done) == [
        ("mine", "bag"),
        ("mine", "encoder"),
        ("prose", "causal-lm"),
        ("words", "encoder"),
    ]
    assert all(r.status == "ok" for r in done.values()), [r.reason for r in done.values()]
    metrics = {
        (*names, d["decoder"]["name"]): d["metrics"]
        for names, r in done.items()
        for d in r.results["decoding"]
    }
    assert metrics["mine", "bag", "argmax"]["accuracy"] == 1.0
    assert metrics["words", "encoder", "argmax"]["span_f1"] == 1.0
    assert metrics["prose", "causal-lm", "likelihood"]["bits_per_byte"] < 4
    assert set(metrics["prose", "causal-lm", "greedy"]) == {"chrf", "repetition"}
    assert done["mine", "bag"].results["task"]["notes"]["sha256"]
