"""Plugins that are wrong on purpose: each is found wrong, for the right reason."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from zoo.animals import ANIMALS as BREAKS
from zoo.others import BREAKS as OTHER_BREAKS

from msbench import testing
from msbench.checks.findings import Finding
from msbench.checks.run import findings_of

ZOO = Path(__file__).parent / "zoo"

PATIENT = 900.0
"""A limit that no busy machine reaches."""

ANIMALS, OTHERS = str(ZOO / "animals.py"), str(ZOO / "others.py")

EXPECTED = {
    **{f"{kind}:{name}": check for kind, of in BREAKS.items() for name, check in of.items()},
    **OTHER_BREAKS,
}
"""Part -> the check that has to find it."""


SLOW = "is-the-same-everywhere"
"""A check that starts an interpreter: it is only asked of the task that it has to find."""


@pytest.fixture(scope="module")
def zoo() -> list[Finding]:
    """What is found in both files."""
    slow = [f"{ANIMALS}::{part}" for part, check in EXPECTED.items() if check == SLOW]
    parts = [f"{ANIMALS}::{part}" for part in EXPECTED if part not in OTHER_BREAKS]
    others = [*(each for each in parts if each not in slow), f"{ANIMALS}::schedule:fine", OTHERS]
    checks = sorted({*EXPECTED.values()} - {"", SLOW})
    found = list(findings_of(slow, limit=PATIENT, only=[SLOW]))
    found += findings_of(others, limit=PATIENT, only=checks)
    return found


def test_every_animal_is_found_wrong_for_the_right_reason(zoo: list[Finding]) -> None:
    assert len(EXPECTED) >= 60
    wrong = {(each.part, each.check) for each in zoo if each.verdict == "wrong"}
    missed = {
        part: check for part, check in EXPECTED.items() if check and (part, check) not in wrong
    }
    assert not missed, [each for each in zoo if each.part in missed]


def test_what_is_right_is_not_found_wrong(zoo: list[Finding]) -> None:
    """The files can be imported, what has no default is skipped, and what is beside is fine."""
    of = {part: [f.verdict for f in zoo if f.part == part] for part in {f.part for f in zoo}}
    assert all({*of[part]} <= {"ok"} for part in of if part.startswith("plugin:"))
    assert {*of["schedule:fine"]} == {"ok"}
    assert {*of["schedule:needs-an-option"]} == {"ok", "skipped"}


def test_explanations_can_be_acted_on(zoo: list[Finding]) -> None:
    said = {(each.part, each.check): each.why for each in zoo}
    late = said["optimizer:late-adamw", "equals-its-reference"]
    assert "torch.optim.AdamW in step 1" in late
    assert "0.744 times as far" in late
    assert "passes=1" in said["optimizer:beside-its-closure", "takes-the-passes-it-declares"]
    assert (
        "beside its closure" in said["optimizer:beside-its-closure", "takes-the-passes-it-declares"]
    )
    assert "exit code 3" in said["schedule:ends-the-process", "can-be-made"]
    assert "did you mean 'warmup'?" in said["schedule:searches-nothing", "declares-what-exists"]
    assert "OMP_NUM_THREADS" in said["schedule:changes-the-process", "leaves-no-trace"]


IMPORTS = {
    "prints": ("print('hello')", "loads-silently"),
    "writes": ("import os; os.write(1, b'hello')", "loads-silently"),
    "changes": ("import os; os.environ['LANG'] = 'x'", "leaves-no-trace"),
    "threads": ("import threading, time\n"
                "threading.Thread(target=time.sleep, args=(9,)).start()", "leaves-no-trace"),
    "works": ("import time\nwhile time.process_time() < 2.5: pass", "loads-fast"),
    "ends": ("import os; os._exit(0)", "loads"),
    "raises": ("raise RuntimeError('not today')", "loads"),
    "registers nothing": ("register_schedules = None", "loads"),
}  # fmt: skip
"""What importing a file does, and the check that has to find it."""

REGISTERS = """
import msbench

@msbench.hookimpl
def register_schedules(register):
    register("good", lambda: lambda spent: 1 - spent, idea="x")
"""


def test_imports_that_misbehave(
    tmp_path: Path, call: Callable[..., Result], write_plugin: Callable[..., str]
) -> None:
    files = {
        name: write_plugin(code if "nothing" in name else code + REGISTERS, f"{number}.py")
        for number, (name, (code, _)) in enumerate(IMPORTS.items())
    }
    command = ("check", *files.values(), "--only", "gives-numbers", "--format", "json")
    done = call(*command, "--limit", PATIENT, check=1)
    found = [Finding(**each) for each in json.loads(done.stdout)]
    for name, file in files.items():
        wrong = [f.check for f in found if f.part == f"plugin:{file}" and f.verdict == "wrong"]
        assert wrong == [IMPORTS[name][1]], name
    assert {f.verdict for f in found if f.part == "schedule:good"} == {"ok"}


def test_what_never_comes_is_given_up(call: Callable[..., Result]) -> None:
    done = call("check", ZOO / "hangs.py", "--limit", 10, check=1)
    assert "can-be-made: it did not end within 10 s" in done.stdout
    assert "schedule:comes\n  ok" in done.stdout
    assert "1 of" in done.stderr


def test_wrong_targets_are_errors(call: Callable[..., Result], tmp_path: Path) -> None:
    for target, said in (
        ("no-such-file.py", "there is no file"),
        ("optimizer:adamww", "did you mean 'adamw'?"),
        ("no-such-thing", "there is no part, file or package 'no-such-thing'"),
    ):
        assert said in call("check", target, check=2).stderr


def test_one_line_in_pytest() -> None:
    with pytest.raises(AssertionError, match=r"schedule:wastes-a-step: 1 wrong\n  wastes-no-step"):
        testing.check(f"{OTHERS}::schedule:wastes-a-step", limit=PATIENT)
    names = testing.parts(str(ZOO / "hangs.py"))
    assert names == [f"{ZOO / 'hangs.py'}::schedule:{name}" for name in ("never-comes", "comes")]
