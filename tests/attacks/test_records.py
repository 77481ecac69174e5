"""Attacks on files of records: cut, damaged, written by several, and true but hard to bear."""

import json
import math
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner
from handmade import rekeyed

from msbench.cli import main
from msbench.records.record import Record
from msbench.records.store import TRIALS, append, read
from msbench.spec import FORMATS, group_of, key_of

pytestmark = pytest.mark.usefixtures("server")

SUITE = """
seeds = 2
baseline = "adamw"
training = { passes = 8, batch_size = 8, validations = 2 }
throughput = { rounds = 0 }
task = [{ name = "numbers-fr", below = 200, examples = 200 }]
model = [{ name = "encoder-decoder", width = 16, layers = 1, heads = 2 }]
optimizer = [{ name = "adamw" }, { name = "sam", base = { name = "adamw" } }]
decoder = [{ name = "greedy" }]
"""

COMMANDS = (
    "compare FILE --format json",
    "claims FILE --format json",
    "recommend FILE --budget 8passes --format json",
    "run tiny.toml --dry-run",
    "decode FILE --decoder greedy",
    "plot FILE --kind curves -o plot.svg",
    "report FILE -o page.html",
)


class Result(NamedTuple):
    """What a command did."""

    code: int
    output: str
    errors: str


def msbench(command: str) -> Result:
    """Runs a command in this process; an error that is not said in words gets out."""
    words = command.replace("FILE", f"results/tiny/{TRIALS}").split()
    result = CliRunner().invoke(main, words)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Result(result.exit_code, result.stdout, result.stderr)


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """The lines that a real run of the suite has left of its trials."""
    folder = tmp_path_factory.mktemp("real")
    (folder / "tiny.toml").write_text(SUITE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert msbench("run tiny.toml").code == 0
    return (folder / "results/tiny" / TRIALS).read_bytes().splitlines(keepends=True)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the suite's trials stand, in an empty folder that commands run in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.toml").write_text(SUITE)
    (tmp_path / "results/tiny").mkdir(parents=True)
    return tmp_path / "results/tiny" / TRIALS


# R3: the end of a file.


@pytest.mark.attack("R3", "the last record cut at every byte, then the next one appended")
def test_cut_records(attack: Any, lines: list[bytes], file: Path) -> None:
    *earlier, last, other = lines
    keys = [Record.from_json(line).key for line in lines]
    coming = Record.from_json(other)
    for cut in cuts(len(last), attack.times(40, len(last)), attack.generator()):
        with attack.case(f"cut at {cut}"):
            file.write_bytes(b"".join(earlier) + last[:cut])
            append(file.parent, coming)
            found = read(file.parent)
            whole = cut >= len(last) - 1  # all but the end of the line is there
            kept = keys if whole else [*keys[:-2], keys[-1]]
            assert [each.key for each in found.records] == kept
            assert len(found.problems) == (0 if whole or cut == 0 else 1)
            assert file.read_bytes().startswith(b"".join(earlier) + last[:cut])


@pytest.mark.attack("R3", "the last record cut, then msbench run on the same folder")
def test_cut_and_resumed(attack: Any, lines: list[bytes], file: Path) -> None:
    *earlier, last = lines
    for cut in cuts(len(last), attack.times(1, 20), attack.generator()):
        with attack.case(f"cut at {cut}"):
            before = b"".join(earlier) + last[:cut]
            file.write_bytes(before)
            done = msbench("run tiny.toml")
            assert done.code == 0
            whole = cut >= len(last) - 1  # all but the end of the line is there
            assert (f"line {len(lines)}: skipped" in done.errors) == (cut > 0 and not whole)
            done_before = "all 4" if whole else "3 of 4"
            assert f"{done_before} trials are done already" in done.errors
            assert file.read_bytes().startswith(before)
            assert len(read(file).records) == len(lines)


def cuts(size: int, wanted: int, generator: random.Random) -> Sequence[int]:
    """So many places of `size` bytes, the ends among them."""
    if wanted >= size:
        return range(size + 1)
    return sorted(generator.sample(range(1, size - 1), wanted)) + [0, size - 1, size] * (wanted > 3)


# R4: damage, anywhere.


def flip_a_bit(lines: list[bytes], draw: random.Random) -> bytes:
    whole = bytearray(b"".join(lines))
    whole[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
    return bytes(whole)


def delete_a_digit(lines: list[bytes], draw: random.Random) -> bytes:
    whole = b"".join(lines)
    place = draw.choice([n for n, byte in enumerate(whole) if chr(byte).isdigit()])
    return whole[:place] + whole[place + 1 :]


def change_a_digit(lines: list[bytes], draw: random.Random) -> bytes:
    whole = bytearray(b"".join(lines))
    place = draw.choice([n for n, byte in enumerate(whole) if chr(byte).isdigit()])
    whole[place] = draw.choice([digit for digit in b"0123456789" if digit != whole[place]])
    return bytes(whole)


def swap_lines(lines: list[bytes], draw: random.Random) -> bytes:
    return b"".join(draw.sample(lines, len(lines)))


def truncate_a_line(lines: list[bytes], draw: random.Random) -> bytes:
    return in_one(lines, draw, lambda line: line[: draw.randrange(1, len(line) - 1)] + b"\n")


def truncate_the_file(lines: list[bytes], draw: random.Random) -> bytes:
    whole = b"".join(lines)
    return whole[: draw.randrange(len(whole))]


def double_a_line(lines: list[bytes], draw: random.Random) -> bytes:
    return in_one(lines, draw, lambda line: line * 2)


def join_lines(lines: list[bytes], draw: random.Random) -> bytes:
    return in_one(lines, draw, lambda line: line.rstrip())


def zero_a_block(lines: list[bytes], draw: random.Random) -> bytes:
    whole = b"".join(lines)
    place = draw.randrange(len(whole))
    return whole[:place] + bytes(512) + whole[place + 512 :]


def rename_a_key(lines: list[bytes], draw: random.Random) -> bytes:
    def rename(line: bytes) -> bytes:
        name = draw.choice([key for _, key in paths(json.loads(line)) if isinstance(key, str)])
        return line.replace(f'"{name}":'.encode(), f'"{name}x":'.encode(), 1)

    return in_one(lines, draw, rename)


def change_a_type(lines: list[bytes], draw: random.Random) -> bytes:
    def change(line: bytes) -> bytes:
        data = json.loads(line)
        parent, key = draw.choice(list(paths(data)))
        parent[key] = draw.choice([each for each in ODD if each != parent[key]])
        return json.dumps(data, ensure_ascii=False).encode() + b"\n"

    return in_one(lines, draw, change)


def drop_the_checksum(lines: list[bytes], draw: random.Random) -> bytes:
    def drop(line: bytes) -> bytes:
        data = {name: value for name, value in json.loads(line).items() if name != "checksum"}
        return json.dumps(data, ensure_ascii=False).encode() + b"\n"

    return in_one(lines, draw, drop)


def in_one(lines: list[bytes], draw: random.Random, change: Callable[[bytes], bytes]) -> bytes:
    """The file with one of its lines changed."""
    number = draw.randrange(len(lines))
    return b"".join([*lines[:number], change(lines[number]), *lines[number + 1 :]])


CORRUPTIONS = (
    flip_a_bit,
    delete_a_digit,
    change_a_digit,
    swap_lines,
    truncate_a_line,
    truncate_the_file,
    double_a_line,
    join_lines,
    zero_a_block,
    rename_a_key,
    change_a_type,
    drop_the_checksum,
)

ODD = (None, True, 0, -1, 10**400, 1e308, 1e30, "x", "", [], {}, [1], {"a": None}, [[[]]], 0.5)
"""Values that few fields may have."""


def paths(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in JSON data as the object or list and the name or number in it.

    Of a list only the first place: the others are like it.
    """
    inside = value.items() if isinstance(value, dict) else [*enumerate(value)][:1]
    for key, each in inside:
        yield value, key
        if isinstance(each, dict | list):
            yield from paths(each)


def survivors(damaged: bytes, lines: list[bytes]) -> tuple[list[bytes], int]:
    """The lines that are unchanged, also behind one that has lost its end; how many are not."""
    whole = [line.rstrip() for line in lines]
    kept, bad = [], 0
    for line in damaged.split(b"\n"):
        line = line.rstrip(b" \t\r")
        if not line.strip():
            continue
        bad += line not in whole
        kept += [each + b"\n" for each in whole if line.endswith(each)]
    return kept, bad


@pytest.mark.attack("R4", "500 corruptions of a results file, read by every command")
def test_damaged_files(attack: Any, lines: list[bytes], file: Path) -> None:
    draw = attack.generator()
    expected: dict[tuple[bytes, str], Result] = {}
    commands = attack.times(1, len(COMMANDS))
    for number in range(attack.times(24, 500)):
        damage = CORRUPTIONS[number % len(CORRUPTIONS)]
        damaged = damage(lines, draw)
        kept, bad = survivors(damaged, lines)
        for command in (COMMANDS[(number + n) % len(COMMANDS)] for n in range(commands)):
            with attack.case(f"{damage.__name__}, number {number}: {command}"):
                key = (b"".join(kept), command)
                if key not in expected:
                    file.write_bytes(key[0])
                    expected[key] = msbench(command)
                file.write_bytes(damaged)
                found = msbench(command)
                assert found.code == expected[key].code
                assert found.output == expected[key].output
                assert counted(found.errors) == bad or not kept
    attack.notes = f"{attack.tried} commands"


def counted(errors: str) -> int:
    """How many lines a command said it has skipped."""
    return errors.count(": skipped, ")


@pytest.mark.attack("R4", "records without a checksum whose fields have odd values")
def test_odd_values(attack: Any, lines: list[bytes], file: Path) -> None:
    """Where nothing says that a line was changed, what it says is possible or it is skipped."""
    draw = attack.generator()
    commands = attack.times(1, len(COMMANDS))
    for number in range(attack.times(40, 500)):
        data = json.loads(lines[number % len(lines)])
        places = [p for p in paths(data) if p[0] is not data or p[1] not in ("schema", "checksum")]
        parent, name = draw.choice(places)
        parent[name] = value = draw.choice(ODD)
        others = [line for n, line in enumerate(lines) if n != number % len(lines)]
        file.write_bytes(without_checksum(data) + b"".join(others))
        for command in (COMMANDS[(number + n) % len(COMMANDS)] for n in range(commands)):
            with attack.case(f"{name} = {value!r:.30}: {command}"):
                found = msbench(command)
                assert found.code == (2 if command.startswith("decode") else 0), found.errors
                assert counted(found.errors) <= 1


def without_checksum(data: dict[str, Any]) -> bytes:
    """A line of layout 2, with the key of its job if it has one."""
    data = {**{name: value for name, value in data.items() if name != "checksum"}, "schema": 2}
    with suppress(TypeError, KeyError, AttributeError):
        data = rekeyed(data)
    return json.dumps(data).encode() + b"\n"


# R5: several writers.

WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from msbench.records.record import record
from msbench.records.store import append
from msbench.spec import job_from_json

job = job_from_json(Path("job.json").read_text())
first, count = map(int, sys.argv[1:])
for seed in range(first, first + count):
    append(Path("results/tiny"), record(replace(job, seed=seed), "failed", "x" * 50_000))
"""


@pytest.mark.attack("R5", "4 processes append to one file at the same time")
def test_writers(attack: Any, lines: list[bytes], file: Path) -> None:
    each = attack.times(12, 250)
    Path("job.json").write_text(json.dumps(json.loads(lines[0])["job"]))
    writer = [sys.executable, "-c", WRITER]
    writers = [subprocess.Popen([*writer, str(n * each), str(each)]) for n in range(4)]
    assert [process.wait(timeout=600) for process in writers] == [0, 0, 0, 0]
    found = read(file)
    seeds = [record.job["seed"] for record in found.records]
    with attack.case("all lines are whole"):
        assert not found.problems
    for number in range(4):
        with attack.case(f"writer {number}: all of its records are there, in its order"):
            mine = range(number * each, (number + 1) * each)
            assert [seed for seed in seeds if seed in mine] == [*mine]
    attack.notes = f"4 x {each} records"


# R10: numbers that are none, or too good to be true.

Results = dict[str, Any]


def no_score(results: Results, seed: int) -> None:
    results["decoding"][0]["metrics"]["bleu"] = math.nan


def no_score_in_one_seed(results: Results, seed: int) -> None:
    results["decoding"][0]["metrics"]["bleu"] = math.nan if seed == 2 else 90.0 + seed


def infinite_scores(results: Results, seed: int) -> None:
    results["decoding"][0]["metrics"] = dict.fromkeys(("bleu", "chrf", "exact"), math.inf)


def scores_of_1e30(results: Results, seed: int) -> None:
    results["decoding"][0]["metrics"]["bleu"] = 1e30


def losses_that_are_no_number(results: Results, seed: int) -> None:
    for point in results["training"]["curve"]:
        point["validation_loss"] = math.inf if seed % 2 else math.nan


def losses_of_1e30(results: Results, seed: int) -> None:
    for point in results["training"]["curve"]:
        point["validation_loss"] = point["train_loss"] = 1e30


def nothing_evaluated(results: Results, seed: int) -> None:
    results["decoding"][0] |= {"metrics": {}, "examples": {}, "count": 0, "seconds": 0.0}


def no_decoding(results: Results, seed: int) -> None:
    results["decoding"] = []


def nothing_at_all(results: Results, seed: int) -> None:
    results.clear()


ODDITIES = (
    no_score,
    no_score_in_one_seed,
    infinite_scores,
    scores_of_1e30,
    losses_that_are_no_number,
    losses_of_1e30,
    nothing_evaluated,
    no_decoding,
    nothing_at_all,
)


def five_seeds(lines: list[bytes], odd: Callable[[Results, int], None]) -> Iterator[Record]:
    """Both optimizers with five seeds, the results of SAM's made odd."""
    templates = {r.trial["optimizer"]["name"]: r for r in map(Record.from_json, lines)}
    for seed in range(5):
        for name, template in templates.items():
            results = deepcopy(dict(template.results))
            results["decoding"][0]["metrics"]["bleu"] = 30.0 + seed
            if name == "sam":
                odd(results, seed)
            job = {**template.job, "seed": seed}
            keys = {"key": key_of(job), "group": group_of(job)}
            yield replace(template, job=job, results=results, **keys)


@pytest.mark.attack("R10", "NaN, infinity, 1e30 and nothing instead of scores and losses")
def test_odd_numbers(attack: Any, lines: list[bytes], file: Path) -> None:
    asked = [command for command in COMMANDS if "--format" in command]
    styles = FORMATS if attack.times(0, 1) else ("text", "json")
    for odd in ODDITIES:
        rows = [each.to_json() for each in five_seeds(lines, odd)]
        file.write_text("".join(row + "\n" for row in rows))
        for command in asked:
            for style in styles:
                with attack.case(f"{odd.__name__}: {command}, {style}"):
                    found = msbench(command.replace("json", style))
                    assert found.code == 0, found.errors
                    if style == "json":
                        check_honest(json.loads(found.output, parse_constant=pytest.fail))
        with attack.case(f"{odd.__name__}: the page"):
            assert msbench("report FILE -o page.html").code == 0


def check_honest(found: Any) -> None:
    """Whoever lacks a number for any seed is never first, never better, and has less than n ok."""
    tables = found if isinstance(found, dict) else {"rows": found}
    for table in ("accuracy", "rows"):
        first: set[tuple[str, ...]] = set()
        for row in tables.get(table, ()):
            if "n_ok" not in row:
                continue
            known = row.get("measured", row["n_ok"])  # of a recommendation, by its budget
            assert (row["mean"] is None) == (known == 0)
            if known < row["n"]:
                assert row["verdict"] not in ("better", "best")
                ahead = (row.get("quantity") or row["metric"], row["task"])
                assert ahead in first, f"{row['optimizer']} is first with {known}/{row['n']}"
            first.add((row.get("quantity") or row["metric"], row["task"]))
    for choice in tables.get("choices", ()):
        assert choice["best"]["n_ok"] == choice["best"]["n"]
