"""Parts of a suite, for machines that share nothing: each runs its own trials."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from msbench.errors import MsbenchError
from msbench.spec import Suite, Trial, display_name


@dataclass(frozen=True)
class Shard:
    """One of so many parts of a suite, from 1."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """`2/8`; ValueError for anything else."""
        found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
        if not found or not 1 <= int(found[1]) <= int(found[2]):
            raise ValueError(f"{text!r} is no shard such as 2/8, the second of eight")
        return cls(int(found[1]), int(found[2]))

    def of_suite(self, trials: Sequence[Trial]) -> list[Trial]:
        """The trials that are its own: about as many as any other shard has.

        All trials of a search are in one shard, since what is tried next depends on them.
        """
        return [trial for trial in trials if _number(_unit(trial)) % self.of == self.number - 1]


def check_shards(suite: Suite) -> None:
    """MsbenchError if the suite's next trials depend on records that another shard has."""
    if suite.question.max_seeds:
        raise MsbenchError(
            f"{suite.name}: where seeds are added until there is a verdict, what runs next depends "
            "on all records: run it without --shard, or with a fixed number of seeds"
        )


def _unit(trial: Trial) -> str:
    """What is not divided: a trial, or all that are tuned together."""
    if trial.tuned is None:
        return trial.key
    parts = [part.json for part in (trial.task, trial.model, trial.loss)]
    return " ".join([*parts, *map(display_name, (trial.optimizer, trial.schedule))])


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
