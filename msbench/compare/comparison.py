"""Records -> tables: what strategies scored and cost, and verdicts on their differences.

Needs neither torch nor the plugins that the records came from.
"""

import math
from collections.abc import Iterable

from msbench.compare.asked import asked, metrics_of
from msbench.compare.columns import Columns, checked, collect, trained
from msbench.compare.costs import costs_by_strategy, decoding_rows, training_rows
from msbench.compare.curves import curve_rows
from msbench.compare.labels import Labels, machine_names
from msbench.compare.notes import (
    failed_trials,
    guarded_trials,
    hidden_tasks,
    lost_measurements,
    missing_evidence,
    seen_in_training,
    task_remarks,
)
from msbench.compare.provenance import failure_rows, machine_rows, part_rows
from msbench.compare.ranks import profile_rows, rank_rows
from msbench.compare.rows import Comparison, StrategyKey
from msbench.compare.searches import tuning_rows, untuned, without_replaced, without_winner
from msbench.compare.targets import Target, auto_targets, freezing, reaching, resolved, target_rows
from msbench.compare.throughput import throughput_rows
from msbench.compare.verdicts import scored, settle, verdict_rows
from msbench.compare.versions import versions_apart
from msbench.compare.yardsticks import against_rows, lost_yardsticks, yardstick_rows
from msbench.errors import MsbenchError
from msbench.records.record import Record
from msbench.spec import STRATEGY, Compared, Question

NOT_RANKED = (
    "untuned: no search chose the options of these strategies, and no suite says by tuned_by who "
    "did, so a difference may be one of rates, and nothing is ranked"
)


def compare(
    records: Iterable[Record] | Columns,
    baseline: str = "",
    *,
    by: Compared | None = None,
    metric: str = "",
    target: Target = None,
    margin: float | None = None,
    question: Question | None = None,
) -> Comparison:
    """Tables of all records, which may be a stream or columns.

    Differences and ratios are to `baseline`.

    question: what was declared; the arguments before it say what is asked instead. by: the axis,
    one of COMPARED, that the baseline is a value of; else the one that varies. Without a baseline,
    the optimizer that throughput was measured against, else one of `asked.PLAIN`, else the first by
    name. metric: shown instead of the one that decides. target: a validation loss to reach, for all
    tasks or one per task; without it, the median of the baseline's best. margin: of equivalence, in
    the metric's unit, instead of the declared one.

    Trials that did not end ok count in `n`, never in a mean, and are never ranked best. Raises
    MsbenchError if there is nothing to compare, or no such baseline, metric or axis.
    """
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
    metrics = metrics_of(columns, labels, question)
    scores = scored(columns, labels, metrics, metric)
    if not scores.cells:
        raise MsbenchError("no trial has a decoder: there are no scores to compare")
    meant = asked(
        question, scores.cells, metrics, labels, measured, by=by, baseline=baseline, metric=metric
    )
    by, bases = meant.by, meant.bases
    machine_of = {record.key: names[machines.index(record.machine)] for record in measured}
    throughput = throughput_rows(measured, labels, by, bases, machine_of)
    trials = trained(columns, labels, names)
    training = training_rows(columns, trials, throughput, by, bases)
    costs = costs_by_strategy(training)
    settled = settle(scores, meant, margin)
    accuracy = verdict_rows(columns, scores, settled, lambda cell: costs[StrategyKey.of(cell)])
    automatic = auto_targets(columns, trials, by, bases)
    targets, of_other_losses = resolved(target, trials.cells, automatic, labels, by, bases)
    took = reaching(columns, trials, targets)
    unchosen = (
        [] if by not in STRATEGY or (question and question.tuned_by) else untuned(columns, labels)
    )
    ranks, unranked = rank_rows(accuracy, by) if not unchosen else ([], [NOT_RANKED])
    tuning = tuning_rows(columns, labels)
    held = yardstick_rows(columns, labels, scores)
    several = [f"seconds come from {len(names)} machines: side by side"] if len(names) > 1 else []
    return Comparison(
        accuracy=accuracy,
        throughput=throughput,
        baseline=meant.baseline,
        by=by,
        untuned=unchosen,
        tuning=tuning,
        training=training,
        decoding=decoding_rows(columns, scores, names, by, bases),
        targets=target_rows(trials, targets, took, by, bases),
        freezing=freezing(automatic, labels) if target is None else [],
        ranks=ranks,
        profiles=[]
        if by == "decoder"  # decoders do not train
        else profile_rows(columns, trials, took["passes"], by, bases),
        curves=curve_rows(columns, trials, by, bases),
        yardsticks=held,
        against=against_rows(columns, labels, scores, meant, held, margin),
        failures=failure_rows(columns, labels, trials),
        parts=part_rows(columns, labels),
        machines=machine_rows(machines, names),
        max_seeds=meant.max_seeds,
        notes=[
            *meant.notes,
            *_other_margin(margin),
            *missing_evidence(accuracy),
            *hidden_tasks(accuracy, metric),
            *lost_yardsticks(held),
            *guarded_trials(columns, labels, trials.trial.tolist()),
            *seen_in_training(columns, labels),
            *task_remarks(columns, labels),
            *of_other_losses,
            *lost_measurements(columns),
            *replaced,
            *without_winner(tuning),
            *versions_apart(columns.groups),
            *failed_trials(columns, labels, trials.trial.tolist()),
            *unranked,
            *several,
            *differing,
        ],
    )


def _other_margin(margin: float | None) -> list[str]:
    if margin is None:
        return []
    return [f"the margin {margin:g} is not the metrics' own: other commands may decide otherwise"]
