"""Records -> how many seeds every strategy needs, where they are added until there is a verdict."""

from collections.abc import Iterable

from msbench.compare.asked import asked, metrics_of
from msbench.compare.columns import Columns, collect
from msbench.compare.labels import Labels
from msbench.compare.verdicts import Scored, scored, settle
from msbench.records.record import Record
from msbench.spec import FIRST_LOOK, Question


def seeds_wanted(records: Iterable[Record], question: Question) -> dict[str, int]:
    """By the key of one record of each strategy, how many seeds it should have by what is known.

    A strategy goes on with the comparisons that it is part of, and so a baseline with the last one
    that needs it. What is compared with nothing has the first seeds alone.
    """
    columns = collect(records)
    labels = Labels(columns.groups)
    metrics = metrics_of(columns, labels, question)
    scores = scored(columns, labels, metrics)
    wanted = {record.key: FIRST_LOOK for record in columns.groups}
    if not scores.cells:
        return wanted
    settled = settle(scores, asked(question, scores.cells, metrics, labels, []))
    assert settled.looks is not None
    for cell, seeds in enumerate(settled.looks.wanted.tolist()):
        for side in (cell, int(settled.base[cell])) if seeds else ():
            for key in _keys(columns, scores, side):
                wanted[key] = max(wanted[key], seeds)
    return wanted


def _keys(columns: Columns, scores: Scored, cell: int) -> list[str]:
    """One key for every group of trials of a cell."""
    trials = scores.trial[cell, scores.status[cell] >= 0]
    groups = dict.fromkeys(columns.trials["group"][trials].tolist())
    return [columns.groups[group].key for group in groups]
