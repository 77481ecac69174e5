"""Records -> tables: what strategies scored and cost, and verdicts on their differences.

Needs neither torch nor the plugins that the records came from.
"""

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence

from msbench.costs import costs_by_cell, decoding_rows, training_rows
from msbench.errors import MsbenchError, did_you_mean
from msbench.labels import AXES, Labels, machine_names
from msbench.learning_curves import curve_rows
from msbench.ledger import Ledger, checked, collect, newest_winners, trained
from msbench.provenance import failure_rows, machine_rows, part_rows
from msbench.ranks import profile_rows, rank_rows
from msbench.spec import STATUSES, Comparison, Record, Row
from msbench.speeds import speed_rows
from msbench.targets import Target, auto_targets, freezing, reaching, resolved, target_rows
from msbench.verdicts import Scored, scored, verdict_rows

BY = ("optimizer", "loss", "decoder", "model", "schedule")
"""What can be compared: strategies that are equal but for it."""

PLAIN = ("greedy", "argmax", "cross-entropy", "constant")
"""Decoders, losses and schedules that others are compared with unless told otherwise."""


def compare(
    records: Iterable[Record],
    baseline: str = "",
    *,
    by: str = "optimizer",
    metric: str = "",
    target: Target = None,
    margin: float | None = None,
) -> Comparison:
    """Tables of all records, which may be a stream; differences and ratios are to `baseline`.

    by: the axis, one of BY, that the baseline is a value of. Without `baseline`, the optimizer that
    throughput was measured against, else one of PLAIN, else the first by name. metric: shown
    instead of each task's own. target: a validation loss to reach, for all tasks or one per task;
    without it, the median of the baseline's best. margin: of equivalence, in the metric's unit.

    Trials that did not end ok count in `n`, never in a mean, and are never ranked best. Raises
    MsbenchError if there is nothing to compare, or no such baseline, metric or axis.
    """
    ledger = _asked(records, by, metric, margin)
    measured = [record for record in ledger.measured if record.status == "ok"]
    labels = Labels([*ledger.groups, *measured, *ledger.searches])
    ledger, left = newest_winners(ledger, labels)
    machines = [*ledger.machines]  # in its order, which the ledger's numbers are of
    for record in measured:
        machines += [] if record.machine in machines else [record.machine]
    names, differing = machine_names(machines)
    scores = scored(ledger, labels, metric)
    if not scores.cells:
        raise MsbenchError("no trial has a decoder: there are no scores to compare")
    bases, baseline = _bases(scores, by, baseline or _default(by, scores, measured, labels))
    machine_of = {r.key: names[machines.index(r.machine)] for r in measured}
    throughput = speed_rows(measured, labels, by, bases, machine_of)
    speeds = {tuple(r[k] for k in (*AXES, "machine")): r for r in throughput if r["optimizer"]}
    trials = trained(ledger, labels, names)
    training = training_rows(ledger, trials, speeds, by, bases)
    costs = costs_by_cell(training)
    accuracy = verdict_rows(
        ledger,
        scores,
        by,
        bases,
        margin,
        lambda cell: costs.get(tuple(cell[axis] for axis in AXES), {}),
    )
    main = {tuple(r[k] for k in (*AXES, "decoder")): r for r in accuracy if r["main"]}
    auto = auto_targets(ledger, trials, by, bases)
    targets = resolved(target, trials.cells, auto)
    took = reaching(ledger, trials, targets)
    ranks, unranked = rank_rows(accuracy, by)
    return Comparison(
        accuracy=accuracy,
        throughput=throughput,
        baseline=baseline,
        by=by,
        tuning=_tuning(ledger, labels),
        training=training,
        decoding=decoding_rows(ledger, trials, labels, main, by, bases),
        targets=target_rows(trials, targets, took, by, bases),
        freezing=freezing(auto) if target is None else [],
        ranks=ranks,
        profiles=profile_rows(ledger, trials, took["passes"], by, bases) if by in AXES else [],
        curves=curve_rows(ledger, trials, by, bases),
        failures=failure_rows(ledger, labels, trials),
        parts=part_rows(ledger, labels),
        machines=machine_rows(machines, names),
        notes=[
            *_unsure(accuracy),
            *_hidden(accuracy, metric),
            *_bad(ledger, labels, trials.trial.tolist()),
            *_unmeasured(ledger),
            *left,
            *unranked,
            *([f"seconds come from {len(names)} machines: side by side"] if len(names) > 1 else []),
            *differing,
        ],
    )


def _asked(records: Iterable[Record], by: str, metric: str, margin: float | None) -> Ledger:
    """The ledger, if what is asked of it makes sense."""
    if by not in BY:
        raise MsbenchError(f"cannot compare by {by!r}{did_you_mean(by, BY)}")
    if margin is not None and not (margin > 0 and math.isfinite(margin)):
        raise MsbenchError(f"a margin of equivalence must be positive, not {margin:g}")
    return checked(collect(records, metric), metric)


def _bases(scores: Scored, by: str, baseline: str) -> tuple[dict[str, str], str]:
    """(per task the name of the baseline there, its name).

    A bare name also means the first of several that are told apart by their options.
    """
    names: dict[str, list[str]] = {}
    for cell in scores.cells:
        names.setdefault(cell["task"], []).append(cell[by])
    bases = {}
    for task, several in names.items():
        alike = [n for n in sorted(several) if baseline in (n, n.partition(" (")[0])]
        if alike:
            bases[task] = baseline if baseline in alike else alike[0]
    if not bases:
        known = {name for several in names.values() for name in several}
        raise MsbenchError(f"no {by} {baseline!r} in these results{did_you_mean(baseline, known)}")
    return bases, bases[min(bases)] if len(set(bases.values())) == 1 else baseline


def _default(by: str, scores: Scored, measured: Sequence[Record], labels: Labels) -> str:
    names = sorted({str(cell[by]) for cell in scores.cells})
    if by == "optimizer" and measured:
        record = measured[-1]
        return str(labels.strategy(record, record.job["strategies"][0])["optimizer"])
    return next((plain for plain in PLAIN if plain in names), names[0])


def _tuning(ledger: Ledger, labels: Labels) -> list[Row]:
    """A row per search: how its points did on validation, and the winner that ran."""
    losses: dict[tuple[str, ...], dict[int, list[float]]] = {}
    searched: dict[tuple[str, ...], dict[int, Row]] = {}
    for record in ledger.searches:
        cell = tuple(labels.axes(record)[axis] for axis in AXES)
        points = losses.setdefault(cell, {})
        tuned = record.job["tuned"]
        points.setdefault(tuned["point"], []).append(record.validation_loss)
        searched.setdefault(cell, {})[tuned["point"]] = tuned["options"]
    winners = {
        tuple(labels.axes(ledger.groups[ledger.trials["group"][t]])[axis] for axis in AXES): tuned
        for t, tuned in ledger.tuned.items()
        if ledger.kept[t]
    }
    rows = []
    for cell, points in losses.items():
        medians = {point: statistics.median(values) for point, values in points.items()}
        finite = [value for value in medians.values() if math.isfinite(value)]
        chosen = winners.get(cell, {})
        rows.append(
            {
                **dict(zip(AXES, cell, strict=True)),
                "points": len(points),
                "ok": len(finite),
                "point": chosen.get("point"),
                "options": dict(chosen.get("options", {})),
                "edge": list(chosen.get("edge", ())),
                "validation_loss": medians.get(chosen.get("point", -1), math.nan),
                "median": statistics.median(finite) if finite else math.nan,
                "worst": max(finite) if finite else math.nan,
                "searched": [
                    {"point": point, "options": dict(options), "validation_loss": medians[point]}
                    for point, options in sorted(searched[cell].items())
                ],
            }
        )
    return sorted(rows, key=lambda row: tuple(row[axis] for axis in AXES))


def _unsure(accuracy: Sequence[Row]) -> list[str]:
    """What keeps verdicts from being given, in whole sentences."""
    shown = [row for row in accuracy if row["primary"]]
    notes = []
    if not any(row["n_ok"] for row in shown):
        notes.append("no trial ended ok: there is nothing to compare")
    elif max(row["n_ok"] for row in shown) == 1:
        notes.append("one seed each: no interval and no verdict without more (msbench run --seeds)")
    for row in shown:
        if row["n_ok"] and math.isnan(row["mean"]):
            what = f"{row['task']}, {row['optimizer']}, {row['decoder']}"
            notes.append(f"{what}: no trial that ended ok gave a number for {row['metric']}")
    return notes


def _hidden(accuracy: Sequence[Row], metric: str) -> list[str]:
    """Tasks that the metric asked for is none of."""
    shown = {row["task"] for row in accuracy if row["primary"]}
    left = sorted({row["task"] for row in accuracy} - shown)
    return [f"not shown, since {metric} is no metric of theirs: {', '.join(left)}"] if left else []


def _bad(ledger: Ledger, labels: Labels, trials: Sequence[int]) -> list[str]:
    """The first ten trials that did not end ok, and how many more there are."""
    bad = [trial for trial in sorted(trials) if trial in ledger.reasons]
    notes = []
    for trial in bad[:10]:
        axes = labels.axes(ledger.groups[ledger.trials["group"][trial]])
        seed = ledger.seeds[ledger.trials["seed"][trial]]
        status = STATUSES[ledger.trials["status"][trial]]
        what = f"{axes['task']} {axes['optimizer']} seed {seed}"
        notes.append(f"{what}: {status}: {ledger.reasons[trial]}")
    if len(bad) > 10:
        notes.append(f"and {len(bad) - 10} more trials that did not end ok")
    return notes


def _unmeasured(ledger: Ledger) -> list[str]:
    """Search trials and measurements that were lost."""
    notes = []
    lost = [r for r in ledger.searches if r.status not in ("ok", "diverged")]
    if lost:
        told = ", ".join(f"{s} {n}" for s, n in Counter(r.status for r in lost).items())
        notes.append(f"{len(lost)} search trials were lost ({told}): {lost[0].reason}")
    for record in ledger.measured:
        for each in record.results.get("failed", ()):
            notes.append(f"throughput of {each['strategy']}: {each['reason']}")
        if record.status != "ok":
            notes.append(f"throughput: {record.status}: {record.reason}")
    return notes
