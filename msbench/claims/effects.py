"""The four effects that are claimed, measured per pair of strategies and per equal budget."""

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msbench.claims.pairs import Declared, Pair, decoder_of
from msbench.claims.results import Row
from msbench.compare.columns import Ledger
from msbench.compare.curves import NEAR, Curve, Curves
from msbench.compare.verdicts import Scored
from msbench.spec import AXES, UNITS

Array = NDArray[np.float64]


Mains = Mapping[tuple[str, ...], Mapping[str, int]]
"""By AXES and decoder, the cell of the task's metric."""


DecodingCosts = dict[str, dict[tuple[int, int], float]]
"""By unit, trial and place of the decoder."""


@dataclass(frozen=True)
class Effect:
    """A row that lacks its numbers, and the differences that give them."""

    row: Row
    differences: Array
    """Per seed; of compute the logarithm of a ratio."""
    sooner: int = 0
    later: int = 0
    """Seeds in which a target was reached sooner or later than by the base, or by one alone."""


def _row(claim: str, unit: str, quantity: str, better: str, **more: object) -> Row:
    plain = {"amount": math.nan, "machine": "", "reached": math.nan, "base_reached": math.nan}
    about = {"claim": claim, "units": [unit], "quantity": quantity, "better": better}
    return {**about, **plain, **more}


# ── the four claims ─────────────────────────────────────────────────────────────────────────


def accuracy(
    ledger: Ledger,
    curves: Curves,
    metric: "_Metric | None",
    pair: Pair,
    machines: Sequence[str],
) -> Iterator[Effect]:
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
        yield Effect({**row, "amount": _mean(common, kept)}, kept)


def generalization(
    ledger: Ledger, curves: Curves, pair: Pair, machines: Sequence[str]
) -> Iterator[Effect]:
    """How much larger the loss is on test than on training data, where budgets are equal."""
    mine, theirs = _sides(pair, ledger.trials["generalization_gap"])
    gap = np.where(_ok(ledger, pair), mine - theirs, np.nan)
    if np.isnan(gap).all():
        return
    for unit, machine, both in _budgets(ledger, pair, machines):
        ends = _ends(curves, pair, unit, both)
        if _equal(ends):
            kept = np.where(both, gap, np.nan)
            what = "test loss minus training loss"
            row = _row("generalization", unit, what, "lower", machine=machine)
            yield Effect({**row, "amount": _mean(ends.min(axis=0), kept)}, kept)


def overfitting(
    ledger: Ledger, curves: Curves, pair: Pair, machines: Sequence[str]
) -> Iterator[Effect]:
    """How far validation loss had risen from its best when the common amount was spent."""
    for unit, machine, both in _budgets(ledger, pair, machines):
        common = _ends(curves, pair, unit, both).min(axis=0)
        mine, theirs = _by_seed(curves, pair, unit, common, Curve.rise)
        rises = mine - theirs
        row = _row("overfitting", unit, "rise of validation loss", "lower", machine=machine)
        yield Effect({**row, "amount": _mean(common, rises)}, rises)


def compute(
    ledger: Ledger, curves: Curves, pair: Pair, machines: Sequence[str]
) -> Iterator[Effect]:
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
        yield Effect(row, finite, sooner, later)


def decoded_accuracy(scores: Scored, mains: Mains, pair: Pair) -> Iterator[Effect]:
    """The test metric of two decoders with one trained model: training was equal in all units."""
    decoders = mains[tuple(pair.cell[axis] for axis in AXES)]
    metric = _metric(scores, decoders[pair.name], decoders[pair.base])
    yield Effect(_row("accuracy", "training", metric.name, metric.better), metric.differences)


def decoding_cost(
    ledger: Ledger,
    costs: DecodingCosts,
    pair: Pair,
    machines: Sequence[str],
) -> Iterator[Effect]:
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
        yield Effect(row, ratios)


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


def main_cells(scores: Scored) -> Mains:
    found: dict[tuple[str, ...], dict[str, int]] = {}
    for number, cell in enumerate(scores.cells):
        if cell["main"]:
            axes = tuple(cell[axis] for axis in AXES)
            found.setdefault(axes, {})[cell["decoder"]] = number
    return found


def test_metric(
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


def decoding_costs(ledger: Ledger) -> DecodingCosts:
    """Per unit, what predicting took by trial and place of the decoder."""
    columns = ledger.decoded
    keys = list(zip(columns["trial"].tolist(), columns["place"].tolist(), strict=True))
    return {
        unit: dict(zip(keys, columns[unit].tolist(), strict=True)) for unit in ("steps", "seconds")
    }
