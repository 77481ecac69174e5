"""Records -> tables: what strategies scored and cost, and verdicts on their differences.

Needs neither torch nor the plugins that the records came from.
"""

import math
from collections.abc import Iterable, Sequence

from msbench.compare.columns import Columns, checked, collect, trained
from msbench.compare.costs import costs_by_strategy, decoding_rows, training_rows
from msbench.compare.curves import curve_rows
from msbench.compare.labels import Labels, machine_names
from msbench.compare.notes import (
    failed_trials,
    hidden_tasks,
    lost_measurements,
    missing_evidence,
)
from msbench.compare.provenance import failure_rows, machine_rows, part_rows
from msbench.compare.ranks import profile_rows, rank_rows
from msbench.compare.rows import Comparison, StrategyKey
from msbench.compare.searches import tuning_rows, without_replaced
from msbench.compare.targets import Target, auto_targets, freezing, reaching, resolved, target_rows
from msbench.compare.throughput import throughput_rows
from msbench.compare.verdicts import Scored, scored, verdict_rows
from msbench.compare.versions import versions_apart
from msbench.errors import MsbenchError, did_you_mean
from msbench.records.record import Record
from msbench.spec import COMPARED, Compared

PLAIN = ("greedy", "argmax", "cross-entropy", "constant")
"""Decoders, losses and schedules that others are compared with unless told otherwise."""


def compare(
    records: Iterable[Record] | Columns,
    baseline: str = "",
    *,
    by: Compared = "optimizer",
    metric: str = "",
    target: Target = None,
    margin: float | None = None,
) -> Comparison:
    """Tables of all records, which may be a stream or columns.

    Differences and ratios are to `baseline`.

    by: the axis, one of COMPARED, that the baseline is a value of. Without `baseline`, the
    optimizer that throughput was measured against, else one of PLAIN, else the first by name.
    metric: shown instead of each task's own. target: a validation loss to reach, for all tasks or
    one per task; without it, the median of the baseline's best. margin: of equivalence, in the
    metric's unit.

    Trials that did not end ok count in `n`, never in a mean, and are never ranked best. Raises
    MsbenchError if there is nothing to compare, or no such baseline, metric or axis.
    """
    if by not in COMPARED:
        raise MsbenchError(f"cannot compare by {by!r}{did_you_mean(by, COMPARED)}")
    if margin is not None and not (margin > 0 and math.isfinite(margin)):
        raise MsbenchError(f"a margin of equivalence must be positive, not {margin:g}")
    columns = checked(collect(records, metric), metric)
    measured = [record for record in columns.measured if record.status == "ok"]
    labels = Labels([*columns.groups, *measured, *columns.searches])
    columns, replaced = without_replaced(columns, labels)
    machines = [*columns.machines]  # in this order, which the numbers of machines are of
    for record in measured:
        machines += [] if record.machine in machines else [record.machine]
    names, differing = machine_names(machines)
    scores = scored(columns, labels, metric)
    if not scores.cells:
        raise MsbenchError("no trial has a decoder: there are no scores to compare")
    bases, baseline = _bases(scores, labels, by, baseline or _default(by, scores, measured, labels))
    machine_of = {record.key: names[machines.index(record.machine)] for record in measured}
    throughput = throughput_rows(measured, labels, by, bases, machine_of)
    trials = trained(columns, labels, names)
    training = training_rows(columns, trials, throughput, by, bases)
    costs = costs_by_strategy(training)
    accuracy = verdict_rows(
        columns, scores, by, bases, lambda cell: costs[StrategyKey.of(cell)], margin
    )
    automatic = auto_targets(columns, trials, by, bases)
    targets = resolved(target, trials.cells, automatic, labels)
    took = reaching(columns, trials, targets)
    ranks, unranked = rank_rows(accuracy, by)
    several = [f"seconds come from {len(names)} machines: side by side"] if len(names) > 1 else []
    return Comparison(
        accuracy=accuracy,
        throughput=throughput,
        baseline=baseline,
        by=by,
        tuning=tuning_rows(columns, labels),
        training=training,
        decoding=decoding_rows(columns, scores, names, by, bases),
        targets=target_rows(trials, targets, took, by, bases),
        freezing=freezing(automatic, labels) if target is None else [],
        ranks=ranks,
        profiles=[]
        if by == "decoder"  # decoders do not train
        else profile_rows(columns, trials, took["passes"], by, bases),
        curves=curve_rows(columns, trials, by, bases),
        failures=failure_rows(columns, labels, trials),
        parts=part_rows(columns, labels),
        machines=machine_rows(machines, names),
        notes=[
            *missing_evidence(accuracy),
            *hidden_tasks(accuracy, metric),
            *failed_trials(columns, labels, trials.trial.tolist()),
            *lost_measurements(columns),
            *replaced,
            *versions_apart(columns.groups),
            *unranked,
            *several,
            *differing,
        ],
    )


def _bases(
    scores: Scored, labels: Labels, by: Compared, baseline: str
) -> tuple[dict[str, str], str]:
    """(per task the name of the baseline there, its name).

    A bare name also means the first of several that are told apart by their options.
    """
    names: dict[str, list[str]] = {}
    for cell in scores.cells:
        names.setdefault(cell["task"], []).append(cell[by])
    bases = {}
    for task, labels_there in names.items():
        meant = [label for label in sorted(labels_there) if labels.means(baseline, label)]
        if meant:
            bases[task] = baseline if baseline in meant else meant[0]
    if not bases:
        known = {label for labels_there in names.values() for label in labels_there}
        raise MsbenchError(f"no {by} {baseline!r} in these results{did_you_mean(baseline, known)}")
    return bases, bases[min(bases)] if len(set(bases.values())) == 1 else baseline


def _default(by: Compared, scores: Scored, measured: Sequence[Record], labels: Labels) -> str:
    names = sorted({str(cell[by]) for cell in scores.cells})
    if by == "optimizer" and measured:
        record = measured[-1]
        return labels.strategy(record, record.trial)["optimizer"]
    return next((plain for plain in PLAIN if plain in names), names[0])
