"""What a check found: a verdict, and a plain explanation that an author can act on."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

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
