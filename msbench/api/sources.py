"""Where results come from: folders of records, or a run that has just ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from msbench.api.reading import (
    Remarks,
    compare_records,
    compare_results,
    declared_question,
    of_seeds,
    read_records,
)
from msbench.compare.rows import Comparison
from msbench.records.question import read_question
from msbench.records.record import Record
from msbench.spec import Question


class Source(Protocol):
    """Records, and the question that they answer."""

    @property
    def name(self) -> str:
        """What they are called."""

    @property
    def question(self) -> Question | None:
        """What their suite declared."""

    def records(self, remarks: Remarks) -> Sequence[Record]:
        """All of them."""

    def comparison(self, remarks: Remarks, asked: Mapping[str, Any]) -> Comparison:
        """What they say, as it was asked."""


@dataclass(frozen=True)
class Kept:
    """Results that are kept: folders, files or names of suites; they are read when it is asked."""

    results: Sequence[str]

    @property
    def name(self) -> str:
        """Their names."""
        return ", ".join(Path(each).stem for each in self.results)

    @property
    def question(self) -> Question | None:
        """What their suites declared."""
        return declared_question(*self.results)

    def records(self, remarks: Remarks) -> Sequence[Record]:
        """Those of all together."""
        return read_records(self.results, remarks)

    def comparison(self, remarks: Remarks, asked: Mapping[str, Any]) -> Comparison:
        """As `msbench compare` compares them."""
        return compare_results(self.results, remarks, **asked)


@dataclass(frozen=True)
class Run:
    """The records of one run of a suite, which its folder may have more of."""

    done: Sequence[Record]
    folder: Path
    targets: Mapping[str, float] | None
    """Validation losses that the suite times strategies to."""

    @property
    def name(self) -> str:
        """That of the suite."""
        return self.folder.name

    @property
    def question(self) -> Question | None:
        """What the suite declared."""
        return read_question(self.folder)

    def records(self, remarks: Remarks) -> Sequence[Record]:
        """Those of the run."""
        return self.done

    def comparison(self, remarks: Remarks, asked: Mapping[str, Any]) -> Comparison:
        """As `msbench run` compares them at its end."""
        records = of_seeds(self.done, asked.get("seeds", ()))
        return compare_records(records, self.question, **{"target": self.targets, **asked})
