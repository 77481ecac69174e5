"""Splits: fixed, disjoint, leak-free by group, nested in size, noisy where asked."""

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msbench import DataError, linked, mislabel, shuffled, split, take
from msbench.builtin.tasks.alignment import aligned
from msbench.builtin.tasks.verses import _same_verses, _text_alone, _verses
from msbench.errors import MsbenchError
from msbench.plugins.registry import Registry
from msbench.spec import Choice

ITEMS = [(f"text {n}", "ab"[n % 2]) for n in range(500)]


@given(st.lists(st.integers(0, 30), min_size=40, max_size=300))
def test_no_group_is_in_two_splits(groups: list[int]) -> None:
    items = list(enumerate(groups))
    parts = split(items, group=lambda item: item[1])
    assert sorted(item for part in parts.values() for item in part) == items
    seen = [{item[1] for item in part} for part in parts.values()]
    assert not (seen[0] & seen[1]) | (seen[0] & seen[2]) | (seen[1] & seen[2])
    assert parts == split(items, group=lambda item: item[1])


@given(st.lists(st.sets(st.integers(0, 40), max_size=3), min_size=1, max_size=60))
def test_what_shares_a_key_is_linked(keys: list[set[int]]) -> None:
    """Against the slow way: spread the lowest number along every shared key until none changes."""
    slow = list(range(len(keys)))
    for _ in keys:
        for i, a in enumerate(keys):
            for j, b in enumerate(keys):
                if a & b:
                    slow[i] = slow[j] = min(slow[i], slow[j])
    found = linked(keys)
    pairs = list(zip(found, slow, strict=True))
    assert len(set(pairs)) == len(set(found)) == len(set(slow))


def test_another_seed_is_another_split() -> None:
    one, other = split(ITEMS), split(ITEMS, seed=1)
    assert one != other
    assert {k: len(v) for k, v in one.items()} == {k: len(v) for k, v in other.items()}


@given(st.lists(st.integers(0, 9), min_size=30, max_size=80), st.integers(0, 99))
def test_every_label_is_in_training_whatever_the_seed(labels: list[int], seed: int) -> None:
    """Of rows that are a group each; where all labels are common it is the same draw as without."""
    items = list(enumerate(labels))
    parts = split(items, lambda item: item[0], seed, every=lambda item: item[1])
    assert sorted(item for part in parts.values() for item in part) == items
    assert {label for _, label in parts["train"]} == set(labels)
    assert parts["test"]
    assert parts["validation"]
    plain = split(items, lambda item: item[0], seed)
    if {label for _, label in plain["train"]} == set(labels):
        assert parts == plain


@pytest.mark.parametrize("seed", range(6))
def test_a_large_group_is_in_training_and_no_split_is_empty(seed: int) -> None:
    for sizes in ((98, 1, 1), (20, 20, 20, 20, 20), (50, 50, 1)):
        items = [(group, n) for group, size in enumerate(sizes) for n in range(size)]
        parts = split(items, lambda item: item[0], seed)
        assert all(parts.values())
        assert {0} <= {group for group, _ in parts["train"]}


def test_sizes() -> None:
    assert {k: len(v) for k, v in split(ITEMS).items()} == {
        "test": 50,
        "validation": 50,
        "train": 400,
    }


def test_more_data_contains_less() -> None:
    parts = split(ITEMS)
    sizes = [50, 100, 400]
    subsets = [set(take(parts, size)["train"]) for size in sizes]
    assert [len(s) for s in subsets] == sizes
    assert subsets[0] < subsets[1] < subsets[2]
    assert take(parts, 0) == parts
    assert take(parts, 50)["test"] == parts["test"]
    for wrong in (-1, 401):
        with pytest.raises(DataError, match=r"train_size must be 0 \(all\) to 400, not"):
            take(parts, wrong)


def test_label_noise_is_exact_and_spares_what_is_held_out() -> None:
    parts = split(ITEMS)
    noisy = mislabel(parts, 0.25)
    changed = [a for a, b in zip(parts["train"], noisy["train"], strict=True) if a != b]
    assert len(changed) == 100
    assert noisy["test"] == parts["test"]
    assert noisy == mislabel(parts, 0.25)
    assert mislabel(parts, 0.0) == parts
    draw = random.Random("msbench/label noise")
    slow = {row: draw.choice([each for each in "ab" if each != parts["train"][row][1]])
            for row in shuffled(range(400), "label noise")[:100]}  # fmt: skip
    assert all(noisy["train"][row][1] == label for row, label in slow.items())
    with pytest.raises(DataError, match="label_noise must be"):
        mislabel(parts, 1.0)


def test_verses_are_aligned_to_the_end() -> None:
    """The offsets drift if read wrongly: names that both versions keep must meet in each pair."""
    verses = {number: (old, basic) for number, old, basic in _verses()}
    assert len(verses) > 31_000
    assert verses[1001001][1] == "At the first God made the heaven and the earth."
    assert verses[40005003][1].startswith("Happy are the poor in spirit")
    assert verses[66022021][1] == "The grace of the Lord Jesus be with the saints. So be it."
    for name in ("Jerusalem", "Moses", "Egypt", "Babylon", "Peter"):
        both = [name in old and name in basic for old, basic in verses.values()]
        either = [name in old or name in basic for old, basic in verses.values()]
        assert sum(both) > 0.8 * sum(either)
    assert not any("\\" in text for pair in verses.values() for text in pair)


def test_texts_that_are_numbered_differently_are_found() -> None:
    """From the 30th to the 59th text one version is a text behind, from the 80th to the 99th seven;
    each pair shares half of its words."""
    draw = random.Random(0)
    words = ["".join(draw.choices("abcdefgh", k=6)) for _ in range(300)]
    texts = [draw.sample(words, 12) for _ in range(120)]
    one = [" ".join(text[:8]) for text in texts]
    other = [" ".join(text[4:]) for text in texts]
    assert all(aligned(one, other))
    for first, last, shift in ((30, 60, 1), (80, 100, 7)):
        other[first:last] = [" ".join(text[4:]) for text in texts[first - shift : last - shift]]
    kept = aligned(one, other)
    wrong = {*range(30, 60), *range(80, 100)}
    assert len({row for row in range(120) if not kept[row]} ^ wrong) <= 8, (
        "but for two at each edge"
    )


def test_verses_that_say_something_else_are_left_out() -> None:
    """Basic English counts the heading of the third psalm as its first verse, the first has none;
    the 39th verse of its first chapter of John is empty, and later ones are one too late."""
    numbers = {number for number, _, _ in _same_verses()}
    assert not numbers & set(range(19003001, 19003009))
    assert set(range(19001001, 19001007)) <= numbers
    assert set(range(43001001, 43001037)) <= numbers
    assert not numbers & set(range(43001042, 43001051))


def test_verses_are_texts_without_what_their_editions_add() -> None:
    """Basic English leaves verses out ("[]") and parts of some ("..."); others number and head."""
    whole = _same_verses()
    assert len(_verses()) - len(whole) == 1415
    assert not any(re.search(r"[\[\]]|\.\.\.|\*\*\*|^\W*$", basic) for _, _, basic in whole)
    assert _text_alone("(7:26) L'Éternel  dit [alors]") == "L'Éternel dit alors"
    assert _text_alone("(*)") == ""
    assert (
        _text_alone("the priest`s -[fruits]. Psalm 3 A Psalm by David.") == "the priest's -fruits."
    )


def test_a_training_size_above_what_exists_is_one_clear_error(registry: Registry) -> None:
    part = registry.resolve("task", Choice("bbc-news", {"train_size": 99_999}))
    with pytest.raises(MsbenchError, match=r"train_size must be 0 \(all\) to 1654, not 99999"):
        registry.build("task", part)()
