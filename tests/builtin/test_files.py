"""The user's own files, as every kind of task; and what is wrong with them."""

import csv
import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from msbench import DataError, Task, bleu_chrf
from msbench.builtin.tasks.files import files
from msbench.builtin.tasks.forms import Form
from msbench.builtin.tasks.tables import read_rows
from msbench.compare import compare
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
EACH = [(f"text {n}", f"label {n}") for n in range(20)]
MANY = "\n\n".join(f"document {n}" for n in range(30))

BAD: list[tuple[str, str, Any, dict[str, Any], str]] = [
    ("classify", "no.csv", None, {}, r"no.csv \(from /.*No such file"),
    (
        "classify",
        "a.csv",
        REVIEWS,
        {"target": "lable"},
        "a.csv:1: no column 'lable'; there is: text, l",
    ),
    ("classify", "a.csv", REVIEWS, {"train_size": 999}, r"0 \(all\) to 64"),
    (
        "classify",
        "a.csv",
        REVIEWS,
        {"train_size": 1},
        r"all 1 training .*the first 1 of them: train",
    ),
    ("classify", "a.csv", REVIEWS, {"max_length": 0}, "1 or more, not 0"),
    (
        "classify",
        "few.csv",
        REVIEWS[:6],
        {},
        "few.csv has 6 different rows in 6 groups .*; add rows",
    ),
    (
        "classify",
        "one.csv",
        REVIEWS[::2],
        {},
        "all 32 training rows of one.csv have the label 'yes'",
    ),
    ("classify", "each.csv", EACH, {}, "no row of each.csv is left for .*, since each has a label"),
    ("classify", "commas.csv", "text,label\nhello, number 1,yes\n", {}, "commas.csv:2: more cells"),
    (
        "classify",
        "holes.csv",
        "text,label\na,yes\nb,\nc\n",
        {},
        r"holes.csv:3: 'label' is empty \(and 1 more: msbench data check holes.csv lists them\)",
    ),
    ("classify", "twice.csv", "text,text\na,b\n", {}, "two columns of one name: text, text"),
    ("classify", "empty.csv", "text,label\n", {}, "empty.csv has no rows"),
    ("classify", "semi.csv", "text;label\na;yes\n", {}, 'separated by ";": set delimiter = ";"'),
    (
        "classify",
        "open.csv",
        'text,label\na,yes\n"b,no\nc,yes\n',
        {},
        "open.csv:3: a quote is opened and",
    ),
    (
        "classify",
        "quote.csv",
        'text,label\n"a" b,yes\nc,yes\n',
        {},
        "quote.csv:2: ',' expected after",
    ),
    (
        "classify",
        "u16.csv",
        "text,label\na,yes\n".encode("utf-16"),
        {},
        'u16.csv:1 is UTF-16, not UTF-8; set encoding = "utf-16", or save',
    ),
    (
        "classify",
        "u16le.csv",
        "text,label\na,yes\n".encode("utf-16-le"),
        {},
        'encoding = "utf-16-le"',
    ),
    (
        "classify",
        "l1.csv",
        "text,label\na,yes\né,no\n".encode("latin-1"),
        {},
        "l1.csv:3 is not utf-8: its byte 0xe9 would be 'é' .*set encoding = \"cp1252\"",
    ),
    ("classify", "a.csv", REVIEWS, {"encoding": "utf-9"}, "there is no encoding 'utf-9'"),
    (
        "classify",
        "a.csv",
        REVIEWS,
        {"tokenizer": "zh"},
        "tokenizer is that of BLEU, and metric is 'acc",
    ),
    (
        "seq2seq",
        "a.csv",
        REVIEWS,
        {"target": "label", "tokenizer": "ja-mecab"},
        "'ja-mecab' cannot be us",
    ),
    ("seq2seq", "a.csv", REVIEWS, {"second": "label"}, "second is for classify"),
    ("seq2seq", "three.txt", "a\tb\tc\n", {}, r"three.txt:1: .*not text, tab, .*\['a', 'b', 'c'\]"),
    ("seq2seq", "c.txt", "a\tb\nno tab here\n", {}, "c.txt:2: a line without a tab: 'no tab here'"),
    ("tag", "a.csv", REVIEWS, {"metric": "bleu"}, "no metric 'bleu'"),
    ("tag", "pos.csv", [("the cat", "DET NOUN")], {}, "not 'DET'; .* metric = \"tag_accuracy\""),
    ("tag", "ragged.csv", RAGGED, {}, "ragged.csv:2: 2 words and 1 tags: a b"),
    (
        "tag",
        "lone.conll",
        "fly O\n\nto O\nOslo\n",
        {},
        "lone.conll:4: a line without a word and its tag",
    ),
    ("lm", "c.txt", "text", {"label_noise": 0.1}, "label_noise is for classify"),
    ("lm", "many.txt", MANY, {"group": "customer"}, "has no columns: group is of no use"),
    ("lm", "many.txt", MANY, {"vocabulary": 99}, "must be 260 or more"),
    ("lm", "many.txt", MANY, {"max_length": 8}, "1 to below block=8, not 16"),
    ("lm", "nested.jsonl", '{"text": ["a", "b"]}\n', {}, "'text' is not one text: \\['a', 'b'"),
    ("lm", "lone.jsonl", '{"text": "\\ud800"}\n', {}, "lone.jsonl:1: not JSON"),
    ("lm", "bad.jsonl", '{"text": "a"}\n{"text"\n', {}, "bad.jsonl:2: not JSON"),
    ("lm", "list.jsonl", "[1]\n", {}, "list.jsonl:1: not a JSON object"),
    ("lm", "empty.txt", "\n\n", {}, "empty.txt has no rows"),
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


def test_twins_of_one_text_are_one_example() -> None:
    """Composed otherwise, or with other spaces: a model reads the same."""
    texts = [f"café numéro {n} déjà" for n in range(50)]
    twins = [texts, [unicodedata.normalize("NFD", text) for text in texts]]
    twins += [[f" {text}" for text in texts], [text.replace(" ", "  ") for text in texts]]
    rows = [(text, "ab"[n % 2]) for each in twins for n, text in enumerate(each)]
    table("nfd.csv", rows, "text label")
    task = files("classify", "nfd.csv")
    assert [len(split) for split in task.splits.values()] == [40, 5, 5]
    assert task.notes["also_in_train"] == {"validation": 0, "test": 0}
    assert task.notes["remarks"] == ["150 of 200 rows of nfd.csv repeat others, and are left out"]
    table("nfc.csv", rows[:50], "text label")
    table("test.csv", [rows[50], *((f"new {n}", "a") for n in range(9))], "text label")
    assert files("classify", "nfc.csv", test="test.csv").notes["also_in_train"]["test"] == 1


def test_a_test_set_that_is_the_training_set_is_refused_unless_allowed() -> None:
    for name in ("tr", "va", "te"):
        table(f"{name}.csv", REVIEWS, "text label")
    given = {"train": "tr.csv", "validation": "va.csv", "test": "te.csv"}
    with pytest.raises(DataError, match=r"80 of 80 test texts of te\.csv are training texts too"):
        files("classify", **given)
    task = files("classify", **given, allow_overlap=True)
    assert task.notes["also_in_train"] == {"validation": 80, "test": 80}
    assert "80 of 80 validation texts, by which" in task.notes["remarks"][0]
    assert "80 of 80 test texts are in the validation split" in task.notes["remarks"][1]
    alike = [("same " * 40 + text, label) for text, label in REVIEWS]
    table("alike.csv", alike, "text label")
    with pytest.raises(DataError, match="raise max_length or vocabulary to tell"):
        files("classify", "alike.csv", max_length=4)


@pytest.mark.parametrize("seed", range(8))
def test_rare_labels_stay_in_training_whatever_the_seed(seed: int) -> None:
    rows = [*REVIEWS[:60], *((f"strange {n}", f"rare{n}") for n in range(6))]
    table("single.csv", rows, "text label")
    task = files("classify", "single.csv", split_seed=seed)
    assert [len(split) for split in task.splits.values()] == [54, 6, 6]
    assert set(task.notes["labels"]) == {"yes", "no", *(f"rare{n}" for n in range(6))}
    assert task.notes["remarks"][0].startswith("6 of 8 labels are too rare to be in the test split")
    assert set(task.test.references) <= {task.notes["labels"].index(each) for each in ("yes", "no")}


def test_bad_rows_are_skipped_if_asked_for_and_counted() -> None:
    good = "".join(f"text {n},{'ab'[n % 2]}\n" for n in range(40))
    bad = 'no label,\n"broken" quote,a\n"several\nlines",b\nx,a,b\n   ,a\n'
    Path("bad.csv").write_text(f"text,label\n{good}{bad}last,b\n")
    task = files("classify", "bad.csv", on_bad_row="skip")
    assert sum(map(len, task.splits.values())) == 42
    said = "4 of 46 rows were skipped as bad, such as bad.csv:42: 'label' is empty"
    assert task.notes["remarks"][0] == said
    rows = read_rows(Path("bad.csv"), Form("classify"))
    assert [fault.line for fault in rows.faults] == [42, 43, 46, 47]
    Path("open.csv").write_text(f'text,label\n{good}"never closed,a\nb,a\n')
    with pytest.raises(DataError, match=r"open\.csv:42: a quote is opened and never closed"):
        files("classify", "open.csv", on_bad_row="skip")


def test_other_delimiters_and_encodings_and_long_cells() -> None:
    rows = [(f"été numéro {n}", "ab"[n % 2]) for n in range(40)]
    table("a.csv", rows, "text label")
    lines = "".join(f"{text};{label}\r\n" for text, label in [("text", "label"), *rows])
    expected = files("classify", "a.csv").fingerprint()
    for encoding in ("utf-8-sig", "cp1252", "utf-16"):
        Path("b.csv").write_bytes(lines.encode(encoding))
        read = files("classify", "b.csv", delimiter=";", encoding=encoding.removesuffix("-sig"))
        assert read.fingerprint() == expected
    table("long.csv", [("word " * 40_000 + str(n), "ab"[n % 2]) for n in range(2)], "text label")
    assert len(read_rows(Path("long.csv"), Form("classify")).good) == 2
    assert csv.field_size_limit() == 131072, "of others, it is as it was"


def test_bleu_of_own_texts_fits_their_language() -> None:
    rows = [(f"sentence {n}", f"这是第{n}个中文句子") for n in range(40)]
    table("zh.csv", rows, "text target")
    task = files("seq2seq", "zh.csv")
    assert task.texts is not None
    said, gold = ["这是第1个中文句"], ["这是第1个中文句子"]
    assert task.texts.score(said, gold).metrics == bleu_chrf(said, gold, "zh").metrics
    assert not task.notes["remarks"]
    spaced = files("seq2seq", "zh.csv", tokenizer="13a")
    assert spaced.notes["remarks"] == [
        "BLEU with tokenizer '13a' presumes spaces between words, and the targets have none; 'zh' "
        "fits them"
    ]


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
    wanted = (
        "1 of 1 test rows of test.csv have labels that no training row of train.csv has: 'maybe'"
    )
    with pytest.raises(DataError, match=f"{wanted}; add such rows there, or leave them out"):
        files("classify", "train.csv", test="test.csv")


SUITE = """
seeds = 1
baseline = "adamw"
throughput = { rounds = 0 }
training = { passes = 30, batch_size = 8, validations = 1 }
task = [
  { name = "files", label = "mine", kind = "classify", train = "a.csv", on_bad_row = "skip" },
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
    """The option `kind` says what each task is, so that only what fits it is crossed with it. One
    file is beside the suite, the others are where msbench runs; the suite begins with a mark."""
    (tmp_path / "suite").mkdir()
    table("suite/a.csv", [*REVIEWS, ("a film", "")], "text label")
    lines("a.jsonl", [{"text": words, "tags": tags} for words, tags in TAGGED])
    Path("c.txt").write_text("\n\n".join(f"It was the age of wisdom {n}" for n in range(50)))
    path = tmp_path / "suite" / "own.toml"
    path.write_text("\ufeff" + SUITE)
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
    notes = compare(records.values()).notes
    said = "mine: 1 of 81 rows were skipped as bad, such as"
    assert sum(note.startswith(said) for note in notes) == 1
