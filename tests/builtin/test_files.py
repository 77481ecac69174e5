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
    cells = [[f"{quote}{cell}{quote}" for cell in row] for row in [header.split(), *rows]]
    Path(path).write_text("".join(comma.join(row) + "\n" for row in cells))


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
    assert sum(map(len, numbers)) == len(set().union(*numbers)), "a group is in one split"
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


RAGGED = [("a b", "O")] * 2 + [(f"c{n} d", "O") for n in range(30)]
MANY = "\n\n".join(f"document {n}" for n in range(30))

BAD: list[tuple[str, str, Any, dict[str, Any], str]] = [
    ("classify", "no.csv", None, {}, r"no.csv \(from /.*No such file"),
    (
        "classify",
        "a.csv",
        REVIEWS,
        {"target": "lable"},
        "a.csv:2 has no 'lable'; there is: text, l",
    ),
    ("classify", "a.csv", REVIEWS, {"train_size": 999}, r"0 \(all\) to 64"),
    ("classify", "a.csv", REVIEWS, {"max_length": 0}, "1 or more, not 0"),
    ("classify", "few.csv", REVIEWS[:6], {}, "the validation split is empty"),
    ("classify", "one.csv", REVIEWS[::2], {}, r"two labels or more to learn, found: \['yes'\]"),
    ("classify", "one.csv", REVIEWS[::2], {"label_noise": 0.1}, "label_noise needs two labels or"),
    (
        "classify",
        "commas.csv",
        "text,label\nhello, number 1,yes\n",
        {},
        "commas.csv:2 has more cells",
    ),
    ("classify", "holes.csv", "text,label\na,yes\nb,\n", {}, "holes.csv:3: 'label' is empty"),
    ("classify", "twice.csv", "text,text\na,b\n", {}, "two columns of one name: text, text"),
    ("classify", "empty.csv", "text,label\n", {}, "empty.csv has no rows"),
    ("seq2seq", "a.csv", REVIEWS, {"second": "label"}, "second is for classify"),
    ("seq2seq", "three.txt", "a\tb\tc\n", {}, r"not text, tab, .*\['a', 'b', 'c'\]"),
    ("seq2seq", "c.txt", "no tab here\n", {}, "c.txt: a line without a tab: 'no tab here'"),
    ("tag", "a.csv", REVIEWS, {"metric": "bleu"}, "no metric 'bleu'"),
    ("tag", "pos.csv", [("the cat", "DET NOUN")], {}, "not 'DET'; .* metric = \"tag_accuracy\""),
    ("tag", "ragged.csv", RAGGED, {}, "2 words and 1 tags in the train split"),
    ("lm", "c.txt", "text", {"label_noise": 0.1}, "label_noise is for classify"),
    ("lm", "huge.csv", "text\n" + "x" * 200_000 + "\n", {}, r"huge.csv:\d: field larger than"),
    ("lm", "many.txt", MANY, {"group": "customer"}, "has no columns: group is of no use"),
    ("lm", "many.txt", MANY, {"vocabulary": 99}, "must be 260 or more"),
    ("lm", "many.txt", MANY, {"max_length": 8}, "1 to below block=8, not 16"),
    ("lm", "nested.jsonl", '{"text": ["a", "b"]}\n', {}, "'text' is not one text: \\['a', 'b'"),
    ("lm", "lone.jsonl", '{"text": "\\ud800"}\n', {}, "lone.jsonl:1 is not JSON"),
    ("lm", "bad.jsonl", '{"text": "a"}\n{"text"\n', {}, "bad.jsonl:2 is not JSON"),
    ("lm", "list.jsonl", "[1]\n", {}, "list.jsonl:1 is not a JSON object"),
    ("lm", "empty.txt", "\n\n", {}, "empty.txt is empty"),
    ("lm", "latin.txt", "à".encode("latin-1"), {}, "latin.txt is not UTF-8"),
]
"""Kind, file, its text, bytes or rows, other options, and the error."""


@pytest.mark.parametrize(("kind", "file", "content", "options", "error"), BAD)
def test_what_is_wrong_is_one_clear_error(
    kind: Any, file: str, content: Any, options: dict[str, Any], error: str
) -> None:
    if isinstance(content, list):
        table(file, content, "text tags" if kind == "tag" else "text label")
    elif content is not None:
        Path(file).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=error) as caught:
        files(kind, file, **options)
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
task = [
  { name = "files", label = "mine", kind = "classify", train = "a.csv" },
  { name = "files", label = "words", kind = "tag", train = "a.jsonl" },
  { name = "files", label = "prose", kind = "lm", train = "c.txt", max_length = 12, prompt = 4, vocabulary = 300 },
]
model = [
  { name = "encoder", width = 16 },
  { name = "bag", tasks = ["mine"] },
  { name = "causal-lm", width = 16 },
]
optimizer = [{ name = "adamw", lr = 3e-2 }]
decoder = [{ name = "argmax" }, { name = "likelihood" }, { name = "greedy" }]
"""  # noqa: E501


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
    records = {(t.task.label, t.model.name): run_job(t) for t in trials}
    assert set(records) == {
        *(("mine", "bag"), ("mine", "encoder"), ("prose", "causal-lm"), ("words", "encoder"))
    }
    assert all(r.status == "ok" for r in records.values()), [r.reason for r in records.values()]
    metrics = {
        (*names, decoded["decoder"]["name"]): decoded["metrics"]
        for names, record in records.items()
        for decoded in record.results["decoding"]
    }
    assert metrics["mine", "bag", "argmax"]["accuracy"] == 1.0
    assert metrics["words", "encoder", "argmax"]["span_f1"] == 1.0
    assert metrics["prose", "causal-lm", "likelihood"]["bits_per_byte"] < 4
    variety = {"repetition", "distinct1", "distinct2", "self_bleu"}
    assert set(metrics["prose", "causal-lm", "greedy"]) == {"chrf", *variety}
    assert records["mine", "bag"].results["task"]["notes"]["sha256"]
