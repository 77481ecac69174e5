"""Suites that are wrong, absurd or huge: told by file and key, all at once, and at once."""

import os
import re
import tomllib
from collections.abc import Callable
from dataclasses import MISSING, fields
from datetime import date
from pathlib import Path
from time import process_time
from typing import Any

import pytest
from conftest import Attack
from toml import document

from msbench.errors import SuiteError
from msbench.plan.shipped import shipped_suites
from msbench.plan.suite import DEFAULTS, KEYS, load_suite
from msbench.plan.tables import NAMED
from msbench.plan.trials import plan, with_overrides
from msbench.plugins.registry import Registry
from msbench.spec import Choice, Phase, Question, Suite, Throughput, Training, Tuning

SHIPPED = {name: path.read_bytes() for name, path in shipped_suites().items()}

VALUES = [
    *("true", "false", "0", "-1", "1", "2", "3.5", "1e999", "-inf", "nan", "1e-320"),
    *("99999999999999999999", "2020-01-01", "07:32:00", '""', '"x"', '"../../x"'),
    *('"\\u0000"', '"\\u001b[31m"', "[]", "{}", "[[]]", '[1,"a"]', "{a.b.c.d.e=1}"),
    *('{name="x"}', "{name=3}", '{name="adamw"}', '[{name="greedy"}]'),
    *('{name="sam",base={name="sam"}}', '[{name="numbers-fr"},{name="numbers-fr"}]'),
]
"""What stands in place of a value."""


def planned(path: Path, registry: Registry) -> list[str]:
    """A dry run up to the data: what is said, nothing if the suite is right."""
    return problems_of(lambda: plan(load_suite(str(path)), registry, (), lambda part: "data"))


def problems_of(call: Callable[[], Any]) -> list[str]:
    try:
        call()
    except SuiteError as error:
        return list(error.problems)
    return []


def mutated(text: bytes, draw: Any) -> bytes:
    """One to three changes of lines, values, keys or bytes."""
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        text = draw.choice([change_lines, change_value, change_key, change_bytes])(text, draw)
    return text


def change_lines(text: bytes, draw: Any) -> bytes:
    lines = text.splitlines(keepends=True) or [b"\n"]
    one, other = draw.randrange(len(lines)), draw.randrange(len(lines))
    what = draw.choice(["drop", "repeat", "swap", "indent"])
    if what == "drop":
        del lines[one]
    elif what == "repeat":
        lines.insert(other, lines[one])
    elif what == "swap":
        lines[one], lines[other] = lines[other], lines[one]
    else:
        lines[one] = b"x." + lines[one]
    return b"".join(lines)


def change_value(text: bytes, draw: Any) -> bytes:
    return replace_one(rb"(?<=[=\[,]) *[^\s,\]}]+", draw.choice(VALUES).encode(), text, draw)


def change_key(text: bytes, draw: Any) -> bytes:
    keys = re.findall(rb"[a-z_]+(?= =)", text) or [b"x"]
    new = draw.choice([*keys, b"name", b"tasks", b"space", b"base", b"of", b'""', b'"a.b"'])
    return replace_one(rb"[a-z_]+(?= =)", new, text, draw)


def change_bytes(text: bytes, draw: Any) -> bytes:
    at = draw.randrange(len(text) + 1)
    new = draw.choice([draw.randbytes(1), b"", b"\x00", b"\xff", b"[", b"]", b"{", b'"', b"."])
    return text[:at] + new + text[at + draw.choice([0, 1, 1, 9]) :]


def replace_one(pattern: bytes, new: bytes, text: bytes, draw: Any) -> bytes:
    if not (found := list(re.finditer(pattern, text))):
        return text
    match = draw.choice(found)
    return text[: match.start()] + new + text[match.end() :]


@pytest.mark.attack("I1", "suites with lines, values, keys or bytes changed at random")
def test_mutated_suites(attack: Attack, tmp_path: Path, registry: Registry) -> None:
    """Right or refused, every problem with the file and a key, in less than 2 s of CPU."""
    for name in SHIPPED:  # what is imported once is not what a suite costs
        plan(load_suite(name), registry, (), lambda part: "data")
    draw, path, slowest, refused = attack.generator(), tmp_path / "m.toml", 0.0, 0
    for number in range(attack.times(150, 5000)):
        path.write_bytes(text := mutated(SHIPPED[draw.choice(sorted(SHIPPED))], draw))
        with attack.case(f"{number}: {text[:2000]!r}"):
            start = process_time()
            problems = planned(path, registry)
            slowest = max(slowest, process_time() - start)
            refused += bool(problems)
            for problem in problems:
                assert re.match(rf"{re.escape(str(path))}: (not valid TOML|.+?: )", problem)
            assert process_time() - start < 2
    attack.notes = f"{refused} refused; the slowest took {slowest:.2f} s"


WHOLE: dict[str, Any] = {
    "task": [{"name": "numbers-fr"}],
    "model": [{"name": "encoder-decoder"}],
    "loss": [{"name": "cross-entropy"}],
    "optimizer": [{"name": "adamw"}],
    "schedule": [{"name": "constant"}],
    "decoder": [{"name": "greedy"}],
    "metric": [{"name": "bleu-chrf"}],
    "yardstick": [{"name": "linear"}],
    "launcher": {"name": "processes"},
    "training": {"passes": 10},
    "tuning": {},
    "throughput": {},
    "question": {},
    "phase": [{"passes": 3}, {}],
    "seeds": 1,
}
"""A right suite with every table in it."""

TABLES: dict[str, Any] = {
    "": Suite,
    "training": Training,
    "tuning": Tuning,
    "throughput": Throughput,
    "question": Question,
    "phase[1]": Phase,
    "task[1].training": Training,
    **{f"{kind}[1]": Choice for kind in KEYS},
    "launcher": Choice,
}
"""Every table of a suite, and its schema."""

WRONG = date(2020, 1, 1)
"""A value that no field takes."""


def keys(place: str) -> dict[str, bool]:
    """The keys of a table, each with whether it is required."""
    mine = KEYS.get(place.partition("[")[0], NAMED) if TABLES[place] is Choice else None
    return {
        key: each.default is MISSING and each.default_factory is MISSING
        for each in fields(TABLES[place])
        if (key := each.metadata.get("key", each.name)) and (mine is None or key in mine)
    }


def changed(*changes: tuple[str, str, Any]) -> dict[str, Any]:
    """The whole suite with each (table, key) set, or dropped where the value is None."""
    suite = tomllib.loads(document(WHOLE))
    for place, key, value in changes:
        table = suite
        for step in re.findall(r"\w+", place):
            table = table[int(step) - 1] if step.isdigit() else table.setdefault(step, {})
        table[key] = value
        if value is None:
            del table[key]
    return suite


@pytest.mark.attack("I2", "a wrong type, a missing and an extra field for each field of a suite")
def test_every_field_of_every_table(attack: Attack, tmp_path: Path, registry: Registry) -> None:
    """Named by file and key; and all of them at once where they are in one file."""
    path = tmp_path / "wrong.toml"

    def told(*changes: tuple[str, str, Any]) -> str:
        path.write_text(document(changed(*changes)))
        return "\n".join(planned(path, registry))

    with attack.case("nothing wrong"):
        assert not told()
    wrong = [(place, key, WRONG) for place in TABLES for key in keys(place)]
    missing = [(place, key, None) for place in TABLES for key, need in keys(place).items() if need]
    missing = [each for each in missing if each[1] not in DEFAULTS]
    extra = [(place, "odd", 1) for place in TABLES if TABLES[place] is not Choice]
    for each in wrong + missing + extra:
        with attack.case(f"{each}"):
            place = ".".join(filter(None, each[:2]))
            assert f"{path}: {place}" in told(each)
    inner = [each for each in (*wrong, *extra) if each[0]]
    for several in (inner, [each for each in (*wrong, *extra) if not each[0]]):
        with attack.case("all at once"):
            text = told(*several)
            for place, key, _ in several:
                assert f"{path}: {'.'.join(filter(None, (place, key)))}" in text


TOO_MUCH: dict[str, str] = {
    "a billion seeds": "seeds = 1000000000",
    "a seed of 4,000 digits": f"seeds = [{'9' * 4000}]",
    "1e999": "limit = 1e999",
    "1e999 in an option": "optimizer = [{name = 'adamw', lr = 1e999}]",
    "1e999 in a loss": "loss = [{name = 'focal', gamma = 1e999}]",
    "5,000 nested arrays": f"x = {'[' * 5000}{']' * 5000}",
    "5,000 nested tables": f"x = {'{a=' * 5000}1{'}' * 5000}",
    "5,000 dotted keys": f"{'a.' * 5000}a = 1",
    "a table header of 5,000 keys": f"[{'a.' * 5000}a]",
    "60 nested bases": f"optimizer = [{'{name=3, base=' * 60}3{'}' * 60}]",
    "a list of 90,000": f"x = [{'1,' * 90_000}]",
    "a list of 400,000": f"x = [{'1,' * 400_000}]",
    "a text of 190,000": f"x = '{'y' * 190_000}'",
    "a key of 190,000": f"{'y' * 190_000} = 1",
    "15,000 keys": "".join(f"k{n} = 1\n" for n in range(15_000)),
    "9,000 parts": "optimizer = [" + "{name='adamw'}," * 9_000 + "]",
    "19,000 values under a long key": f"{'y' * 30_000} = [{'1,' * 19_000}]",
    "40,000 values under a long key": f"{'y' * 10_000} = [{'1,' * 40_000}]",
    "19,000 infinities under a long key": f"{'y' * 30_000} = [{'inf,' * 19_000}]",
    "a grid of 10^6": "decoder = [{name='beam', "
    + ",".join(f"{k} = {list(range(1, 101))}" for k in ("width", "max_length", "min_length"))
    + "}]",
    "a ladder of 10^6": f"decoder = [{{name='beam', width = {list(range(200_000))}}}]",
    "500 grids of 900": "decoder = ["
    + f"{{name='beam', width = {list(range(1, 31))}}}," * 600
    + "]",
    "10^6 cells": "".join(
        f"{kind} = [{','.join(f'{{name={name!r}, label={str(n)!r}}}' for n in range(32))}]\n"
        for kind, name in {
            "task": "numbers-fr",
            "model": "encoder-decoder",
            "loss": "cross-entropy",
            "schedule": "constant",
        }.items()
    ),
    "a search of 10^6": "tuning = {method = 'halton', points = 1000, seeds = 100}\nseeds = 1\n"
    + "model = ["
    + ",".join(f"{{name='encoder-decoder', label='{n}'}}" for n in range(10))
    + "]",
}
"""What replaces the same keys of a small suite."""


@pytest.mark.attack("I5", "a billion seeds, a million cells, 1e999, deep nests, huge files, pipes")
def test_absurd_suites(attack: Attack, tmp_path: Path, registry: Registry) -> None:
    """Refused before anything is enumerated: 1 s of CPU, of which slow machines get 4."""
    small = {key: WHOLE[key] for key in ("task", "model", "optimizer", "decoder")}
    path, times = tmp_path / "absurd.toml", {}

    def refused(what: str, call: Callable[[], Any]) -> None:
        with attack.case(what):
            start = process_time()
            said = problems_of(call)
            times[what] = process_time() - start
            assert said
            assert times[what] < 4
            assert max(map(len, said)) < 3000

    path.write_text(document(small))
    whole = load_suite(str(path))
    assert plan(whole, registry, (), lambda part: "data")
    for what, text in TOO_MUCH.items():
        keys = set(re.findall(r"^(\w+) =", text, re.MULTILINE))
        path.write_text(f"{document({k: v for k, v in small.items() if k not in keys})}{text}")
        refused(what, lambda: plan(load_suite(str(path)), registry, (), lambda part: "data"))
    refused("--seeds", lambda: with_overrides(whole, seeds=10**9, device=None, workers=None))
    with path.open("wb") as file:
        file.truncate(50_000_000)
    refused("50 MB", lambda: load_suite(str(path)))
    for what, make in {
        "a pipe": os.mkfifo,
        "a device": lambda p: p.symlink_to("/dev/zero"),
        "a folder": Path.mkdir,
    }.items():
        path.unlink()
        make(path)
        refused(what, lambda: load_suite(str(path)))
    attack.notes = f"the slowest, {max(times, key=times.__getitem__)}: {max(times.values()):.2f} s"
