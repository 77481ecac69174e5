"""Records, read once, as claims and recommendations need them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from msbench.compare.asked import asked, metrics_of
from msbench.compare.columns import Columns, checked, collect, trained
from msbench.compare.curves import Curves
from msbench.compare.labels import Labels, machine_names
from msbench.compare.notes import seen_in_training, task_remarks
from msbench.compare.rows import StrategyKey
from msbench.compare.searches import without_replaced
from msbench.compare.verdicts import Scored, Settled, scored, settle
from msbench.compare.versions import versions_apart
from msbench.compare.yardsticks import against_rows, headlines, yardstick_rows
from msbench.records.record import Record
from msbench.records.schema import TrialData
from msbench.spec import Question

Array = NDArray[np.float64]

LOSS_MARGIN = 0.01
"""The largest difference of losses that does not matter, as a share of the base's."""

Trials = NDArray[np.int64]
"""Per seed, the position of a trial in the columns; -1 where there is none."""


@dataclass(frozen=True)
class Evidence:
    """What records hold on every strategy."""

    columns: Columns
    labels: Labels
    scores: Scored
    settled: Settled
    """The verdicts of `msbench compare` on these scores."""
    curves: Curves
    trials: Mapping[StrategyKey, Trials]
    """The trials of every strategy."""
    cells: Mapping[StrategyKey, Mapping[str, int]]
    """By strategy and decoder, the row of `scores` with the task's metric."""
    machines: Sequence[str]
    """What the machines are called, in the order of their column."""
    notes: Sequence[str]

    def job(self, trials: Trials) -> TrialData:
        """The job of a strategy's trials, which differ in the seed alone."""
        return self.columns.record(int(trials.max())).trial

    def tuned(self, trials: Trials, key: Literal["options", "edge"]) -> list[str]:
        """Of a tuned strategy, the names of its options or of those on the edge."""
        tuned = self.columns.tuned.get(int(trials.max()))
        return list(tuned[key]) if tuned else []

    def ok(self, trials: Trials) -> NDArray[np.bool_]:
        """Which of the trials exist and ended ok."""
        return np.asarray((trials >= 0) & self.columns.ok[trials])

    def best(self, trials: Trials) -> Array:
        """The best validation loss of each trial that exists; infinite if it did not end ok."""
        ran = trials[trials >= 0]
        return np.where(self.ok(ran), self.columns.trials["best"][ran], np.inf)


def gather(
    records: Iterable[Record] | Columns, metric: str = "", question: Question | None = None
) -> Evidence:
    """The evidence of all records, which may be a stream or columns.

    question: what was declared. metric: instead of the one that decides.

    Raises MsbenchError where there are no trials or no such metric.
    """
    columns = checked(collect(records, metric), metric)
    measured = [record for record in columns.measured if record.status == "ok"]
    labels = Labels([*columns.groups, *measured, *columns.searches])
    columns, outdated = without_replaced(columns, labels)
    machines, differences = machine_names(columns.machines)
    metrics = metrics_of(columns, labels, question)
    scores = scored(columns, labels, metrics, metric)
    meant = asked(question, scores.cells, metrics, labels, measured, metric=metric)
    yardsticks = yardstick_rows(columns, labels, scores)
    against = against_rows(columns, labels, scores, meant, yardsticks)
    held = headlines(yardsticks, against, meant.by)
    return Evidence(
        columns=columns,
        labels=labels,
        scores=scores,
        settled=settle(scores, meant),
        curves=Curves(columns),
        trials=_trials(columns, labels, machines),
        cells=_cells(scores),
        machines=machines,
        notes=[
            *meant.notes,
            *held,
            *seen_in_training(columns, labels),
            *task_remarks(columns, labels),
            *outdated,
            *versions_apart(columns.groups),
            *differences,
        ],
    )


def _trials(columns: Columns, labels: Labels, machines: Sequence[str]) -> dict[StrategyKey, Trials]:
    """The trials of every strategy, in the order of the records."""
    found = trained(columns, labels, machines)
    trials: dict[StrategyKey, Trials] = {}
    for trial, cell in sorted(zip(found.trial.tolist(), found.cell.tolist(), strict=True)):
        strategy = StrategyKey.of(found.cells[cell])
        if strategy not in trials:
            trials[strategy] = np.full(len(columns.seeds), -1, dtype=np.int64)
        trials[strategy][columns.trials["seed"][trial]] = trial
    return trials


def _cells(scores: Scored) -> dict[StrategyKey, dict[str, int]]:
    cells: dict[StrategyKey, dict[str, int]] = {}
    for number, cell in enumerate(scores.cells):
        if cell["main"]:
            cells.setdefault(StrategyKey.of(cell), {})[cell["decoder"]] = number
    return cells
