"""What a check found: a verdict, and a plain explanation that an author can act on."""

import os
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from msbench.errors import MsbenchError

Verdict = Literal["ok", "wrong", "skipped"]


class Wrong(Exception):
    """What a check demands is not so; the message says what was seen, and what to do."""


class Skipped(Exception):
    """The check does not apply to this part; the message says why."""


@dataclass(frozen=True)
class Finding:
    """What one check said of one part."""

    part: str
    """`optimizer:adamw`; for what is about a whole plugin, `plugin:NAME`."""
    check: str
    verdict: Verdict
    why: str = ""
    """What is wrong, why it was skipped, or a remark on how it was checked."""


def ok(findings: Iterable[Finding]) -> bool:
    """Whether nothing is wrong."""
    return all(each.verdict != "wrong" for each in findings)


def told(findings: Sequence[Finding]) -> Iterator[str]:
    """Lines for people: what is wrong in full, one line for each part."""
    for part in dict.fromkeys(each.part for each in findings):
        own = [each for each in findings if each.part == part]
        wrong = [each for each in own if each.verdict == "wrong"]
        passed = [each for each in own if each.verdict == "ok"]
        yield f"{part}: " + (f"{len(wrong)} wrong" if wrong else f"{len(passed)} checks ok")
        yield from (f"  {each.check}: {each.why}" for each in wrong)


def tried(part: str, check: Callable[[Any], Any], subject: Any) -> Finding:
    """What a check says of a subject; whatever it raises is a finding."""
    name = check_name(check)
    try:
        remark = check(subject)
    except Wrong as error:
        return Finding(part, name, "wrong", str(error))
    except Skipped as error:
        return Finding(part, name, "skipped", str(error))
    except MsbenchError as error:
        return Finding(part, name, "wrong", str(error))
    except (Exception, SystemExit) as error:  # a plugin's code may raise anything
        return Finding(part, name, "wrong", f"{_raised(error)}")
    return Finding(part, name, "ok", remark or "")


def check_name(check: Callable[..., Any]) -> str:
    """`every-weight-moves` for the function `every_weight_moves`."""
    return check.__name__.replace("_", "-")


def _raised(error: BaseException) -> str:
    """What was raised, and where in the plugin."""
    frames = traceback.extract_tb(error.__traceback__)
    inside = [each for each in frames if f"{os.sep}msbench{os.sep}checks{os.sep}" not in each[0]]
    last = (inside or list(frames))[-1]
    where = f"{Path(last.filename).name}, line {last.lineno}, in {last.name}"
    return f"raised {type(error).__name__}: {error} ({where})"
