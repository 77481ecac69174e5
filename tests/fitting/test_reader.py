"""New texts are read as the task read its own: every builder, and whatever tokenizer."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import msbench
from msbench import MsbenchError, Task
from msbench.data.task import PAD
from msbench.fitting.everything import widened, with_all_data
from msbench.fitting.reader import reader_of
from msbench.fitting.vocabulary import task_and_tokenizer

TEXT = "the cat sat on a mat and then it went to see some other small grey cats again"
WORDS = TEXT.split()


def sentences(count: int, start: int) -> list[str]:
    """Different ones, of 3 to 8 words."""
    return [
        " ".join(WORDS[(start + n * step) % len(WORDS)] for step in range(1, 4 + n % 6))
        for n in range(count)
    ]


SPLITS = {"train": sentences(40, 0), "validation": sentences(8, 3), "test": sentences(9, 5)}


def classes() -> Task:
    splits = {n: [(t, "ab"[len(t) % 2]) for t in texts] for n, texts in SPLITS.items()}
    return msbench.classification(splits, max_length=6, vocabulary=60)


def pairs() -> Task:
    splits = {n: [((t, t[::-1]), "ab"[len(t) % 2]) for t in texts] for n, texts in SPLITS.items()}
    return msbench.classification(splits, max_length=4, vocabulary=60)


def tags() -> Task:
    splits = {
        n: [(t.split(), ["B-x" if w == "cat" else "O" for w in t.split()]) for t in texts]
        for n, texts in SPLITS.items()
    }
    return msbench.tagging(splits, max_length=6, vocabulary=60)


def translated() -> Task:
    splits = {n: [(t, t.upper()) for t in texts] for n, texts in SPLITS.items()}
    return msbench.translation(
        splits, score=msbench.exact_f1, metric="exact", max_source=7, max_target=9, vocabulary=80
    )


def summarized() -> Task:
    splits = {
        n: [(f"{t} Zoë{i}", f"Zoë{i} {t}") for i, t in enumerate(texts)]
        for n, texts in SPLITS.items()
    }
    return msbench.summarization(
        splits,
        score=msbench.exact_f1,
        metric="exact",
        max_source=7,
        max_target=9,
        vocabulary=40,
        slots=3,
    )


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MSBENCH_CACHE", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("make", [classes, pairs, tags, translated, summarized])
def test_texts_are_read_as_the_task_read_them(make: Callable[[], Task], cache: Path) -> None:
    (cache / "archives").mkdir()
    task, learned = task_and_tokenizer(make)
    assert [each.name for each in cache.iterdir()] == ["archives"]
    reader = reader_of(task, learned, 4 if make is pairs else 0)
    texts = SPLITS["test"]
    given = {
        pairs: [(t, t[::-1]) for t in texts],
        tags: texts,
        summarized: [f"{t} Zoë{i}" for i, t in enumerate(texts)],
    }.get(make, texts)
    mine, its = reader.split(given), task.test
    assert mine.source is not None
    assert its.source is not None
    width = task.longest_source
    np.testing.assert_array_equal(widened(mine.source, width, PAD), widened(its.source, width, PAD))
    if mine.words is not None and its.words is not None:
        np.testing.assert_array_equal(mine.words, its.words[:, : mine.words.shape[1]])
    stub = reader.task(given)
    shapes = [(t.kind, t.vocabulary, t.classes, t.segments, t.longest_source) for t in (stub, task)]
    assert shapes[0] == shapes[1]
    if task.kind == "seq2seq":
        assert stub.longest_target == task.longest_target
        outputs = [row[row > 2].tolist() for row in its.target]
        assert task.spell is not None
        assert reader.told(outputs, mine) == task.spell(outputs, mine.spelling or [None] * 9)
    elif task.kind == "classify":
        assert reader.told(its.target, mine) == [task.notes["labels"][n] for n in its.references]
        assert np.bincount(stub.train.target).tolist() == np.bincount(task.train.target).tolist()
    else:
        assert task.readable is not None
        wrong = [[1] * width] * len(texts)
        assert reader.told(wrong, mine) == task.readable(wrong, its.references)[0]


def test_a_text_goes_on(cache: Path) -> None:
    """Of a language model the end of a text is the prompt."""
    task, learned = task_and_tokenizer(
        lambda: msbench.language_modelling(SPLITS, block=12, prompt=4, vocabulary=300)
    )
    reader = reader_of(task, learned, 0)
    text = "on a mat and then the cat"
    split = reader.split([text, "a"])
    assert split.prompted
    assert text.endswith(reader.told(split.source[:1], split)[0])
    stub = reader.task([text])
    assert (stub.longest_source, stub.longest_target) == (task.longest_source, task.longest_target)


def test_all_data(cache: Path) -> None:
    for make in (classes, tags, translated, summarized):
        task = make()
        for keep_test, added in ((False, 17), (True, 8)):
            whole = with_all_data(task, keep_test)
            assert len(whole.train) == 40 + added
            assert whole.test is task.test
            rows = np.arange(40, 48)
            mine, its = whole.train.batch(rows), task.validation.batch(rows - 40)
            for name in ("source", "target", "input"):
                a, b = getattr(mine, name), getattr(its, name)
                if a is not None:
                    np.testing.assert_array_equal(a, b)
            assert mine.references == its.references
            assert mine.spelling == its.spelling


def test_what_reads_in_its_own_way_is_refused(cache: Path) -> None:
    """Such as a task of a plugin with arrays of its own."""
    task, _ = task_and_tokenizer(tags)
    with pytest.raises(MsbenchError, match="keeps no tokenizer"):
        reader_of(task, "", 0)
    other, learned = task_and_tokenizer(classes)
    other.test.source[0, 0] += 1  # type: ignore[index]
    with pytest.raises(MsbenchError, match="a way of its own"):
        reader_of(other, learned, 0)
