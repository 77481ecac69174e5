"""Records -> four claims about multi-step strategies, each against its single-step base.

That they raise accuracy, improve generalization, reduce overfitting and lower compute. Needs
neither torch nor the plugins: what those declare is handed in as plain data.
"""

import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from msbench.curves import NEAR, Curve, Curves
from msbench.errors import MsbenchError, did_you_mean
from msbench.labels import AXES, Labels, machine_names
from msbench.ledger import Ledger, checked, collect, newest_winners
from msbench.pairs import Declared, Pair, decoder_of, decoder_pairs, optimizer_pairs
from msbench.spec import CLAIMS, UNITS, Claims, Record, Row
from msbench.stats import holm, paired_tests
from msbench.verdicts import LEVEL, Scored, scored

SAMPLING = ("self-critical", "minimum-risk")
"""Losses that learn from outputs drawn from the model, as in reinforcement learning."""

Array = NDArray[np.float64]
Mains = Mapping[tuple[str, ...], Mapping[str, int]]
"""By AXES and decoder, the cell of the task's metric."""
DecodingCosts = dict[str, dict[tuple[int, int], float]]
"""By unit, trial and place of the decoder."""


@dataclass(frozen=True)
class _Test:
    """A row that lacks its numbers, and the differences that give them."""

    row: Row
    differences: Array
    """Per seed; of compute the logarithm of a ratio."""
    sooner: int = 0
    later: int = 0
    """Seeds in which a target was reached sooner or later than by the base, or by one alone."""


def claims(
    records: Iterable[Record], declared: Declared, *, strategy: str = "", metric: str = ""
) -> Claims:
    """Each claim about each multi-step strategy, on every task and at every equal budget.

    declared: what plugins say of a strategy, `{("optimizer", "momentum"): ("memory", "sgd")}`: how
    it is multi-step, and its base. strategy: judge it alone. metric: instead of each task's own.
    Differences are paired by seed, and Holm's family is all tests of what is judged. Raises
    MsbenchError where there are no trials, or no such metric or strategy.
    """
    ledger = checked(collect(records, metric), metric)
    labels = Labels([*ledger.groups, *ledger.searches])
    ledger, left = newest_winners(ledger, labels)
    machines, differing = machine_names(ledger.machines)
    scores = scored(ledger, labels, metric)
    trained, untrained = optimizer_pairs(ledger, labels, declared)
    decoded, undecoded = decoder_pairs(ledger, scores, declared)
    if strategy:
        known = [pair.name for pair in (*trained, *decoded)]
        trained, decoded = ([p for p in ps if _is(p, strategy)] for ps in (trained, decoded))
        if not trained and not decoded:
            what = f"no multi-step strategy {strategy!r} beside its base in these results"
            raise MsbenchError(what + did_you_mean(strategy, known))
    curves, mains = Curves(ledger), _mains(scores)
    tests: list[_Test] = []
    for pair in trained:
        about = _about(ledger, pair)
        tests += [
            replace(test, row={**about, **test.row})
            for made in (
                _accuracy(
                    ledger,
                    curves,
                    _test_metric(ledger, scores, mains, declared, pair),
                    pair,
                    machines,
                ),
                _generalization(ledger, curves, pair, machines),
                _overfitting(ledger, curves, pair, machines),
                _compute(ledger, curves, pair, machines),
            )
            for test in _distinct(made)
        ]
    costs = _decoding_costs(ledger) if decoded else {}
    for pair in decoded:
        about = _about(ledger, pair)
        made = [*_decoded(scores, mains, pair), *_decoding(ledger, costs, pair, machines)]
        tests += [replace(test, row={**about, **test.row}) for test in made]
    rows = _conditioned(_judged(tests))
    return Claims(
        rows=rows,
        summary=_summary(rows),
        conditions=_summary([row for row in rows if row["condition"]], "condition"),
        notes=[*_lacking(rows, ledger), *untrained, *undecoded, *left, *differing],
    )


def _is(pair: Pair, strategy: str) -> bool:
    """Whether a pair is of a strategy; a bare name also means all that options tell apart."""
    return strategy in (pair.name, pair.name.partition(" (")[0])


# ── what a test is about ────────────────────────────────────────────────────────────────────


def _about(ledger: Ledger, pair: Pair) -> Row:
    """The columns that say who is compared, and under which conditions."""
    both = (pair.mine >= 0) & (pair.theirs >= 0)
    group = int(ledger.trials["group"][pair.mine.max()])
    job, task = ledger.groups[group].job, ledger.tasks[group]
    weights = ledger.trials["parameters"][pair.mine[pair.mine >= 0]]
    losses = [job["loss"], *(p["loss"] for p in job.get("phases") or () if p.get("loss"))]
    return {
        **{axis: pair.cell[axis] for axis in AXES},
        "decoder": pair.cell.get("decoder", ""),
        "kind": pair.kind,
        "strategy": pair.name,
        "base": pair.base,
        "steps": pair.steps,
        "seeds": int(both.sum()),
        "train_examples": (task.get("sizes") or {}).get("train"),
        "parameters": None if np.isnan(weights).all() else int(np.nanmax(weights)),
        "task_name": job["task"]["name"],
        "multitask": len(job["task"]["options"].get("of") or ()) > 1,
        "reinforcement": any(loss["name"] in SAMPLING for loss in losses),
    }


def _row(claim: str, unit: str, quantity: str, better: str, **more: object) -> Row:
    plain = {"amount": math.nan, "machine": "", "reached": math.nan, "base_reached": math.nan}
    about = {"claim": claim, "units": [unit], "quantity": quantity, "better": better}
    return {**about, **plain, **more}


def _distinct(tests: Iterable[_Test]) -> list[_Test]:
    """Without a test that another unit has as well: equal passes may be equal steps, too."""
    kept: list[_Test] = []
    for test in tests:
        for number, other in enumerate(kept):
            same = np.allclose(test.differences, other.differences, rtol=1e-6, equal_nan=True)
            what = [(t.row["claim"], t.row["quantity"], t.row["machine"]) for t in (test, other)]
            if same and what[0] == what[1]:
                units = [*other.row["units"], *test.row["units"]]
                kept[number] = replace(other, row={**other.row, "units": units})
                break
        else:
            kept.append(test)
    return kept


# ── the four claims ─────────────────────────────────────────────────────────────────────────


def _accuracy(
    ledger: Ledger,
    curves: Curves,
    metric: "_Metric | None",
    pair: Pair,
    machines: Sequence[str],
) -> Iterator[_Test]:
    """The test metric where budgets are equal, else validation loss at the common amount."""
    for unit, machine, both in _budgets(ledger, pair, machines):
        ends = _ends(curves, pair, unit, both)
        common = ends.min(axis=0)
        if _equal(ends) and metric:
            kept = np.where(both, metric.differences, np.nan)
            row = _row("accuracy", unit, metric.name, metric.better, machine=machine)
        else:
            mine, theirs = _by_seed(curves, pair, unit, common, Curve.at)
            kept = mine - theirs
            row = _row("accuracy", unit, "validation loss", "lower", machine=machine)
        yield _Test({**row, "amount": _mean(common, kept)}, kept)


def _generalization(
    ledger: Ledger, curves: Curves, pair: Pair, machines: Sequence[str]
) -> Iterator[_Test]:
    """How much larger the loss is on test than on training data, where budgets are equal."""
    mine, theirs = _sides(pair, -ledger.trials["gap"])
    gap = np.where(_ok(ledger, pair), mine - theirs, np.nan)
    if np.isnan(gap).all():
        return
    for unit, machine, both in _budgets(ledger, pair, machines):
        ends = _ends(curves, pair, unit, both)
        if _equal(ends):
            kept = np.where(both, gap, np.nan)
            what = "test loss minus training loss"
            row = _row("generalization", unit, what, "lower", machine=machine)
            yield _Test({**row, "amount": _mean(ends.min(axis=0), kept)}, kept)


def _overfitting(
    ledger: Ledger, curves: Curves, pair: Pair, machines: Sequence[str]
) -> Iterator[_Test]:
    """How far validation loss had risen from its best when the common amount was spent."""
    for unit, machine, both in _budgets(ledger, pair, machines):
        common = _ends(curves, pair, unit, both).min(axis=0)
        mine, theirs = _by_seed(curves, pair, unit, common, Curve.rise)
        rises = mine - theirs
        row = _row("overfitting", unit, "rise of validation loss", "lower", machine=machine)
        yield _Test({**row, "amount": _mean(common, rises)}, rises)


def _compute(
    ledger: Ledger, curves: Curves, pair: Pair, machines: Sequence[str]
) -> Iterator[_Test]:
    """What it took to the median of the base's best validation losses, as a ratio."""
    there = pair.theirs[pair.theirs >= 0]
    best = np.where(ledger.ok[there], ledger.trials["best"][there], np.inf)
    known = best[~np.isnan(best)].tolist()
    # Of an even number the higher of the two in the middle: the median trial itself reaches it.
    target = statistics.median_high(known) if known else math.inf
    if not math.isfinite(target):
        return
    ran = (pair.mine >= 0) & (pair.theirs >= 0)
    for unit, machine, both in _budgets(
        ledger, pair, machines, ran, ("passes", "flops", "seconds")
    ):
        if np.isnan(_ends(curves, pair, unit, both)).all():
            continue  # older records do not count FLOPs
        took = _by_seed(curves, pair, unit, np.where(both, target, np.nan), Curve.reached)
        ended = ledger.ok[np.array([pair.mine, pair.theirs])]
        took = np.where(both & ~ended, np.inf, took)
        with np.errstate(invalid="ignore"):
            ratios = np.log(took[0]) - np.log(took[1])
        finite = np.where(np.isfinite(took).all(axis=0), ratios, np.nan)
        shares = [float(np.isfinite(side[both]).mean()) for side in took]
        row = _row(
            "compute",
            unit,
            f"cost of loss {target:.4g}",
            "lower",
            machine=machine,
            amount=target,
            reached=shares[0],
            base_reached=shares[1],
        )
        sooner, later = int((took[0] < took[1]).sum()), int((took[0] > took[1]).sum())
        yield _Test(row, finite, sooner, later)


def _decoded(scores: Scored, mains: Mains, pair: Pair) -> Iterator[_Test]:
    """The test metric of two decoders with one trained model: training was equal in all units."""
    decoders = mains[tuple(pair.cell[axis] for axis in AXES)]
    metric = _metric(scores, decoders[pair.name], decoders[pair.base])
    yield _Test(_row("accuracy", "training", metric.name, metric.better), metric.differences)


def _decoding(
    ledger: Ledger,
    costs: DecodingCosts,
    pair: Pair,
    machines: Sequence[str],
) -> Iterator[_Test]:
    """What predicting the test split took, as a ratio."""
    assert pair.places is not None
    for unit, machine, both in _budgets(ledger, pair, machines, units=("steps", "seconds")):
        sides = [
            [costs[unit].get((int(t), int(p)), math.nan) for t, p in zip(*each, strict=True)]
            for each in zip((pair.mine, pair.theirs), pair.places, strict=True)
        ]
        took = np.where(both, np.array(sides), np.nan)
        if np.isnan(took).all():
            continue
        ratios = np.log(took[0]) - np.log(took[1])
        row = _row("compute", unit, "cost of predicting", "lower", machine=machine)
        yield _Test(row, ratios)


@dataclass(frozen=True)
class _Metric:
    """A test metric, and the difference in it by seed."""

    name: str
    better: str
    differences: Array


def _metric(scores: Scored, mine: int, theirs: int) -> _Metric:
    cell = scores.cells[mine]
    better = "lower" if cell["lower_is_better"] else "higher"
    return _Metric(f"test {cell['metric']}", better, scores.values[mine] - scores.values[theirs])


def _mains(scores: Scored) -> Mains:
    found: dict[tuple[str, ...], dict[str, int]] = {}
    for number, cell in enumerate(scores.cells):
        if cell["main"]:
            axes = tuple(cell[axis] for axis in AXES)
            found.setdefault(axes, {})[cell["decoder"]] = number
    return found


def _test_metric(
    ledger: Ledger, scores: Scored, mains: Mains, declared: Declared, pair: Pair
) -> _Metric | None:
    """The task's metric by a decoder that both have, by a single-step one if there is one."""
    mine = mains.get(tuple(pair.cell[axis] for axis in AXES), {})
    theirs = mains.get(tuple({**pair.cell, "optimizer": pair.base}[axis] for axis in AXES), {})

    def multi_step(decoder: str) -> tuple[bool, str]:
        name = decoder_of(ledger, scores, mine[decoder])["name"]
        return bool(declared.get(("decoder", name), ("", ""))[0]), decoder

    chosen = min((each for each in mine if each in theirs), key=multi_step, default=None)
    return None if chosen is None else _metric(scores, mine[chosen], theirs[chosen])


# ── amounts, budgets and curves ─────────────────────────────────────────────────────────────


def _ok(ledger: Ledger, pair: Pair) -> NDArray[np.bool_]:
    """Seeds that both have, and that ended ok for both."""
    ran = (pair.mine >= 0) & (pair.theirs >= 0)
    return np.asarray(ran & ledger.ok[pair.mine] & ledger.ok[pair.theirs])


def _sides(pair: Pair, column: NDArray[np.float64]) -> Array:
    """(2, seeds): the strategy's and the base's."""
    return np.array([column[pair.mine], column[pair.theirs]])


def _budgets(
    ledger: Ledger,
    pair: Pair,
    machines: Sequence[str],
    among: NDArray[np.bool_] | None = None,
    units: Sequence[str] = UNITS,
) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """(unit, machine, seeds): seconds of each machine for themselves, all else together."""
    both = _ok(ledger, pair) if among is None else among
    mine, theirs = _sides(pair, ledger.trials["machine"])
    for unit in units:
        if unit != "seconds":
            yield unit, "", both
            continue
        for number, name in enumerate(machines):
            here = both & (mine == number) & (theirs == number)
            if here.any():
                yield unit, name if len(machines) > 1 else "", here


def _equal(ends: Array) -> bool:
    """Whether both sides spent the same, in every seed that has both."""
    known = ends[:, ~np.isnan(ends).any(axis=0)]
    return bool(known.size) and bool((np.ptp(known, axis=0) <= NEAR * known.max(axis=0)).all())


def _mean(amounts: Array, where: Array) -> float:
    """Of the seeds that count."""
    kept = amounts[~np.isnan(where) & ~np.isnan(amounts)]
    return float(kept.mean()) if kept.size else math.nan


def _by_seed(
    curves: Curves, pair: Pair, unit: str, amounts: Array, of: Callable[[Curve, float], float]
) -> Array:
    """(2, seeds): what `of` says of either side's curve at the amount; NaN where there is none."""
    found = np.full((2, len(amounts)), np.nan)
    for seed in np.flatnonzero(~np.isnan(amounts)).tolist():
        for side, trials in enumerate((pair.mine, pair.theirs)):
            found[side, seed] = of(curves.of(int(trials[seed]), unit), amounts[seed])
    return found


def _ends(curves: Curves, pair: Pair, unit: str, both: NDArray[np.bool_]) -> Array:
    """(2, seeds): what either side had spent at its last validation."""
    return np.where(both, _sides(pair, curves.ends(unit)), np.nan)


def _decoding_costs(ledger: Ledger) -> DecodingCosts:
    """Per unit, what predicting took by trial and place of the decoder."""
    columns = ledger.decoded
    keys = list(zip(columns["trial"].tolist(), columns["place"].tolist(), strict=True))
    return {
        unit: dict(zip(keys, columns[unit].tolist(), strict=True)) for unit in ("steps", "seconds")
    }


# ── verdicts ────────────────────────────────────────────────────────────────────────────────


def _judged(tests: Sequence[_Test]) -> list[Row]:
    """The rows with their numbers and verdicts; all tests are one family."""
    if not tests:
        return []
    found = paired_tests(np.array([test.differences for test in tests]), LEVEL)
    p = found.p.copy()
    for number, test in enumerate(tests):
        # A target that one side alone reached has no ratio: then only who was first is tested.
        if found.n[number] < 2 and test.sooner + test.later >= 2:
            p[number] = _sign_p(test.sooner, test.later)
    adjusted = holm(p)
    rows = []
    for i, test in enumerate(tests):
        ratio = test.row["claim"] == "compute"
        effect, low, high = (float(x[i]) for x in (found.difference, found.low, found.high))
        away = effect if not math.isnan(effect) and found.n[i] > 1 else test.later - test.sooner
        gained = away > 0 if test.row["better"] == "higher" else away < 0
        least = float(found.detectable[i])
        rows.append(
            {
                **test.row,
                "scale": "ratio" if ratio else "difference",
                "effect": float(np.exp(effect)) if ratio else effect,
                "low": float(np.exp(low)) if ratio else low,
                "high": float(np.exp(high)) if ratio else high,
                "pairs": int(found.n[i]),
                "p": float(p[i]),
                "p_adjusted": float(adjusted[i]),
                "verdict": _verdict(test.row, float(adjusted[i]), gained),
                "detectable": math.exp(-least) if ratio else least,
            }
        )
    return sorted(rows, key=_order)


def _verdict(row: Row, p: float, gained: bool) -> str:
    """Of a target, a ratio counts only if no fewer seeds reached it than on the other side."""
    if not p <= 1 - LEVEL:
        return "not shown"
    fewer, more = row["reached"] < row["base_reached"], row["reached"] > row["base_reached"]
    if (gained and fewer) or (not gained and more):
        return "not shown"
    return "supported" if gained else "contradicted"


def _sign_p(one: int, two: int) -> float:
    """The two-sided probability that fair signs agree so well (exact sign test)."""
    n, least = one + two, min(one, two)
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(least + 1)) * 0.5**n)


def _order(row: Row) -> tuple[object, ...]:
    names = list(CLAIMS)
    axes = [row[axis] for axis in AXES if axis != "optimizer"]
    units = [*UNITS, "flops", "training"]
    whose = (row["kind"], row["strategy"], row["base"])
    return (names.index(row["claim"]), *whose, *axes, units.index(row["units"][0]), row["machine"])


def _summary(rows: Sequence[Row], *more: str) -> list[Row]:
    """Per claim, strategy, unit and `more`: in how many rows it was supported and contradicted."""
    keys = ("claim", "kind", "strategy", "base", "steps", *more)
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        for unit in row["units"]:
            groups.setdefault((*(row[key] for key in keys), unit), []).append(row)
    made = []
    for key, several in groups.items():
        counts = Counter(row["verdict"] for row in several)
        made.append(
            {
                **dict(zip((*keys, "unit"), key, strict=True)),
                "supported": counts["supported"],
                "contradicted": counts["contradicted"],
                "of": len(several),
                "supported_in": _where(several, "supported"),
                "contradicted_in": _where(several, "contradicted"),
            }
        )
    return made


def _where(rows: Sequence[Row], verdict: str) -> list[str]:
    return [
        f"{row['task']}, {row['condition']}" if row["condition"] else str(row["task"])
        for row in rows
        if row["verdict"] == verdict
    ]


def _conditioned(rows: list[Row]) -> list[Row]:
    """With what sets a row apart: a size that varies in these results, several tasks, rewards."""
    sizes: dict[tuple[str, ...], set[int]] = {}
    keys = {"train_examples": ("task_name", "multitask"), "parameters": ("task", "base")}
    for row in rows:
        for size, names in keys.items():
            if row[size] is not None:  # nothing ended that would have counted
                sizes.setdefault((size, *(row[n] for n in names)), set()).add(row[size])

    def varies(row: Row, size: str) -> bool:
        found = sizes.get((size, *(row[name] for name in keys[size])), set())
        return row[size] is not None and len(found) > 1

    for row in rows:
        told = []
        if varies(row, "train_examples") and not row["multitask"]:
            told.append(f"{row['train_examples']:,} examples")
        if varies(row, "parameters"):
            told.append(f"{row['parameters']:,} weights")
        told += ["several tasks in one"] if row["multitask"] else []
        told += ["rewards of drawn outputs"] if row["reinforcement"] else []
        row["condition"] = ", ".join(told)
    return rows


def _lacking(rows: Sequence[Row], ledger: Ledger) -> list[str]:
    """What could not be judged, and why, in whole sentences."""
    if not rows:
        return ["no multi-step strategy was run beside its base: there is nothing to judge"]
    notes = []
    claimed = {row["claim"] for row in rows}
    if "generalization" not in claimed and any(row["kind"] == "optimizer" for row in rows):
        notes.append(
            "generalization: no records say, since they lack the loss on training and test data"
        )
    if max(row["pairs"] for row in rows) < 2:
        notes.append("one seed each: nothing can be shown without more (msbench run --seeds)")
    bad = int((~ledger.ok & ledger.kept).sum())
    if bad:
        notes.append(f"{bad} trials did not end ok: they count as not reaching a target, else not")
    return notes
