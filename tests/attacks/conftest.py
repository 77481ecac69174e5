"""What attacks count: cases tried, and cases that something was lost in.

Every test here is one row of docs/reliability.md. Left alone it tries a few cheap cases, for CI;
where MSBENCH_TORTURE names a file (`make torture`) it tries them all, and adds its row to the file.
"""

import json
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import pytest

FILE = os.environ.get("MSBENCH_TORTURE")


def times(cheap: int, torture: int) -> int:
    """How many cases to try, or how large a case is."""
    return torture if FILE else cheap


@dataclass
class Attack:
    """One fault, tried again and again."""

    name: str
    fault: str
    tried: int = 0
    lost: list[str] = field(default_factory=list)
    """A sentence for each case that was not survived."""
    notes: str = ""
    """Figures that the table shows beside the counts."""

    def generator(self) -> random.Random:
        """A source of the same numbers in every run of this attack."""
        return random.Random(self.name)

    def times(self, cheap: int, torture: int) -> int:
        """How many cases to try."""
        return times(cheap, torture)

    @contextmanager
    def case(self, what: str) -> Iterator[None]:
        """One case; if it fails the others are still tried, and the test fails at its end."""
        self.tried += 1
        try:
            yield
        except Exception as error:  # a failed assertion, or whatever else went wrong
            self.lost.append(f"{what}: {type(error).__name__}: {error}")


@pytest.fixture
def attack(request: pytest.FixtureRequest) -> Iterator[Attack]:
    """The attack of a test that is marked `attack(name, fault)`."""
    name, fault = request.node.get_closest_marker("attack").args
    attack = Attack(name, fault)
    start = monotonic()
    yield attack
    if FILE:
        row = {
            "attack": name,
            "fault": fault,
            "tried": attack.tried,
            "survived": attack.tried - len(attack.lost),
            "lost": attack.lost,
            "notes": attack.notes,
            "seconds": round(monotonic() - start, 1),
        }
        with Path(FILE).open("a") as file:
            file.write(json.dumps(row) + "\n")
    assert attack.tried, "nothing was tried"
    assert not attack.lost, "\n".join(attack.lost)
