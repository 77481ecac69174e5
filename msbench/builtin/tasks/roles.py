"""Semantic roles in requests to programs: which words fill which parameter of a function."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msbench
from msbench import linked, plain, take
from msbench.builtin.tasks.grouping import split_by
from msbench.builtin.tasks.sources import BFCL_EVAL
from msbench.builtin.types import Size

_CATEGORIES = (
    *("simple_python", "simple_java", "simple_javascript", "multiple", "parallel"),
    *("parallel_multiple", "live_simple", "live_multiple", "live_parallel"),
    "live_parallel_multiple",
)
_COLUMNS = ("text", "name", "at")
_WORD = re.compile(r"\w+|[^\w\s]")
_NAME = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")

Span = tuple[int, int, str]
"""(first word, one after the last word, role)."""
Item = tuple[str, list[str], list[Span]]
"""(function, words of the request, spans)."""


def request_roles(
    max_length: int = 96,
    roles: Size = 20,
    vocabulary: int = 3000,
    train_size: int = 0,
) -> msbench.Task:
    """The arguments of a function in the request that it answers, as BIO tags.

    The function (the predicate) precedes the request: `get weather = What is it like in Oslo ?`.
    Spans are arguments that occur in the request word for word; requests rather than news, since no
    package carries PropBank's sentences. Functions that occur together, and requests that recur,
    are in one split, so that the predicates of the test are new. roles: the most frequent
    parameters are labels, all others are OTHER. max_length: tokens of function and request.
    train_size: training requests, each size contained in the next; 0 = all.
    """
    groups, items = _items()
    counts = Counter(role for _, _, spans in items for _, _, role in spans)
    kept = {role for role, _ in sorted(counts.items(), key=lambda c: (-c[1], c[0]))[:roles]}
    parts = split_by(groups, items)
    tagged = {name: [_tagged(item, kept) for item in part] for name, part in parts.items()}
    return msbench.tagging(take(tagged, train_size), max_length=max_length, vocabulary=vocabulary)


def _tagged(item: Item, kept: set[str]) -> tuple[list[str], list[str]]:
    function, words, spans = item
    asked = [*_shown(function), "="]
    tags = ["O"] * len(words)
    for start, end, role in spans:
        label = role if role in kept else "OTHER"
        tags[start:end] = [f"B-{label}"] + [f"I-{label}"] * (end - start - 1)
    return asked + words, ["O"] * len(asked) + tags


def _shown(function: str) -> tuple[str, ...]:
    """The words of its name."""
    return tuple(word.lower() for word in _NAME.findall(function))


def _items() -> tuple[list[int], list[Item]]:
    """Groups and items, one for every request and function with arguments that occur in it."""

    def make() -> dict[str, object]:
        with msbench.open_source(BFCL_EVAL) as archive:
            rows = dict.fromkeys(
                (request, function, json.dumps(sorted(spans)))
                for category in _CATEGORIES
                for request, function, spans in _calls(archive, category)
            )
        return dict(zip(_COLUMNS, map(list, zip(*rows, strict=True)), strict=True))

    arrays = msbench.cached(["request roles", 2, BFCL_EVAL.sha256], make)
    rows = list(zip(*(arrays[name] for name in _COLUMNS), strict=True))
    groups = linked([(plain(request), _shown(function)) for request, function, _ in rows])
    return groups, [
        (function, _WORD.findall(request), [tuple(span) for span in json.loads(spans)])
        for request, function, spans in rows
    ]


def _calls(archive: Any, category: str) -> Iterator[tuple[str, str, list[Span]]]:
    def lines(folder: str) -> dict[str, Any]:
        text = archive.read(f"bfcl_eval/data/{folder}BFCL_v4_{category}.json").decode("utf-8")
        return {row["id"]: row for row in map(json.loads, text.splitlines())}

    questions = lines("")
    for number, answer in lines("possible_answer/").items():
        request = questions[number]["question"][0][-1]["content"]
        calls: dict[str, list[dict[str, Any]]] = {}
        for call in answer["ground_truth"]:
            for function, arguments in call.items():
                calls.setdefault(function, []).append(arguments)
        for function, arguments_of_calls in calls.items():
            if spans := _spans(_WORD.findall(request), arguments_of_calls):
                yield request, function, spans


def _spans(words: list[str], calls: list[dict[str, Any]]) -> list[Span]:
    """The longest arguments first, each at its first place that is still free."""
    low = [word.lower() for word in words]
    wanted = dict.fromkeys(
        (value, role)
        for arguments in calls
        for role, values in arguments.items()
        for value in _longest_found(values, low)
    )
    taken: list[Span] = []
    for text, role in sorted(wanted, key=lambda pair: -len(pair[0].split())):
        value = text.split()
        for start in range(len(low) - len(value) + 1):
            end = start + len(value)
            free = all(end <= a or b <= start for a, b, _ in taken)
            if free and low[start:end] == value:
                taken.append((start, end, role))
                break
    return taken


def _longest_found(values: Any, words: list[str]) -> list[str]:
    """The longest of the accepted values of one argument that occurs in the text, if one does."""
    text = f" {' '.join(words)} "
    candidates = [
        " ".join(_WORD.findall(str(value).lower()))
        for value in (values if isinstance(values, list) else [values])
        if isinstance(value, str | int | float) and not isinstance(value, bool)
    ]
    present = [value for value in candidates if value and f" {value} " in text]
    return sorted(present, key=lambda value: (-len(value), value))[:1]
