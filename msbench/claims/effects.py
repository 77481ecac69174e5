"""The four effects that are claimed, measured per pair of strategies and per equal budget."""

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from msbench.claims.evidence import Array, Evidence
from msbench.claims.matches import Match, matches
from msbench.claims.pairs import Declared, Pair, decoder_part
from msbench.claims.results import Better, Claim, EffectRow
from msbench.compare.curves import Curve


@dataclass(frozen=True)
class Effect:
    """What is compared, and the differences, seed by seed, that a verdict rests on."""

    row: EffectRow
    differences: Array
    """Per seed; of compute the logarithm of a ratio."""
    sooner: int = 0
    later: int = 0
    """Seeds in which a target was reached sooner or later than by the base, or by one alone."""


@dataclass(frozen=True)
class Measure:
    """A quantity, and the difference in it by seed."""

    quantity: str
    better: Better
    differences: Array


def effects(evidence: Evidence, pair: Pair, declared: Declared) -> list[Effect]:
    """All effects of a pair: those of two decoders, or of two optimizers at every equal budget."""
    if pair.strategy.kind == "decoder":
        # Training was equal in all units.
        measure = _metric(evidence, pair.strategy.cell, pair.base.cell)
        return [_effect(pair, "accuracy", measure, "training"), *_decoding(evidence, pair)]
    metric, gap = _common_metric(evidence, pair, declared), _gap(evidence, pair)
    found: list[Effect] = []
    for match in matches(evidence, pair):
        found += [_accuracy(match, metric), _overfitting(match)]
        if gap and match.is_equal:
            found.append(_at_budget(match, "generalization", gap))
    return _distinct([*found, *_compute(evidence, pair)])


def _accuracy(match: Match, metric: Measure | None) -> Effect:
    """The test metric where budgets are equal, else validation loss at the common amount."""
    if metric is None or not match.is_equal:
        loss, base_loss = match.read(Curve.at, match.common)
        metric = Measure("validation loss", "lower", loss - base_loss)
    return _at_budget(match, "accuracy", metric)


def _overfitting(match: Match) -> Effect:
    """How far validation loss had risen from its best when the common amount was spent."""
    rise, base_rise = match.read(Curve.rise, match.common)
    measure = Measure("rise of validation loss", "lower", rise - base_rise)
    return _at_budget(match, "overfitting", measure)


def _compute(evidence: Evidence, pair: Pair) -> Iterator[Effect]:
    """What it took to the median of the base's best validation losses, as a ratio."""
    target = _target(evidence, pair)
    if not math.isfinite(target):
        return
    for match in matches(evidence, pair, ("passes", "flops", "seconds"), ok=False):
        if np.isnan(match.spent).all():
            continue  # older records do not count FLOPs
        took = match.read(Curve.reached, np.full(len(match.seeds), target))
        took = np.where(match.seeds & ~evidence.ok(pair.trials), np.inf, took)
        mine, base = took
        with np.errstate(invalid="ignore"):
            ratios = np.log(mine) - np.log(base)
        ratios = np.where(np.isfinite(took).all(axis=0), ratios, np.nan)
        measure = Measure(f"cost of loss {target:.4g}", "lower", ratios)
        reached = np.isfinite(took[:, match.seeds]).mean(axis=1).tolist()
        effect = _effect(pair, "compute", measure, match.unit, match.machine, target, reached)
        yield replace(effect, sooner=int((mine < base).sum()), later=int((mine > base).sum()))


def _decoding(evidence: Evidence, pair: Pair) -> Iterator[Effect]:
    """What predicting the test split took, as a ratio."""
    places = evidence.scores.place[[pair.strategy.cell, pair.base.cell]]
    keys = zip(pair.trials.ravel().tolist(), places.ravel().tolist(), strict=True)
    rows = np.array([evidence.predictions.get(key, -1) for key in keys]).reshape(2, -1)
    for match in matches(evidence, pair, ("steps", "seconds")):
        costs = np.append(evidence.ledger.decoded[match.unit], np.nan)  # which is at -1
        took = np.where(match.seeds, costs[rows], np.nan)
        if not np.isnan(took).all():
            ratios = np.log(took[0]) - np.log(took[1])
            measure = Measure("cost of predicting", "lower", ratios)
            yield _effect(pair, "compute", measure, match.unit, match.machine)


def _target(evidence: Evidence, pair: Pair) -> float:
    """The median over the base's trials of their best validation loss; infinite without one."""
    trials = pair.base.trials[pair.base.trials >= 0]
    best = np.where(evidence.ok(trials), evidence.ledger.trials["best"][trials], np.inf)
    known = best[~np.isnan(best)].tolist()
    # Of an even number the higher of the two in the middle: the median trial itself reaches it.
    return statistics.median_high(known) if known else math.inf


def _gap(evidence: Evidence, pair: Pair) -> Measure | None:
    """How much larger the loss is on test than on training data, if records say."""
    gaps = evidence.ledger.trials["generalization_gap"][pair.trials]
    mine, base = np.where(evidence.ok(pair.trials), gaps, np.nan)
    gap = mine - base
    if np.isnan(gap).all():
        return None
    return Measure("test loss minus training loss", "lower", gap)


def _common_metric(evidence: Evidence, pair: Pair, declared: Declared) -> Measure | None:
    """The task's metric by a decoder that both have, by a single-step one if there is one."""
    mine = evidence.cells.get(pair.strategy.axes, {})
    base = evidence.cells.get(pair.base.axes, {})

    def multi_step(decoder: str) -> tuple[bool, str]:
        name = decoder_part(evidence, mine[decoder])["name"]
        return bool(declared.get(("decoder", name), ("", ""))[0]), decoder

    decoder = min((each for each in mine if each in base), key=multi_step, default=None)
    return None if decoder is None else _metric(evidence, mine[decoder], base[decoder])


def _metric(evidence: Evidence, mine: int, base: int) -> Measure:
    """The test metric of two rows of the scores."""
    cell, values = evidence.scores.cells[mine], evidence.scores.values
    better: Better = "lower" if cell["lower_is_better"] else "higher"
    return Measure(f"test {cell['metric']}", better, values[mine] - values[base])


def _at_budget(match: Match, claim: Claim, measure: Measure) -> Effect:
    """The effect in the seeds of a match, and the budget that those had."""
    differences = np.where(match.seeds, measure.differences, np.nan)
    amounts = match.common[~np.isnan(differences) & ~np.isnan(match.common)]
    amount = float(amounts.mean()) if amounts.size else math.nan
    measure = replace(measure, differences=differences)
    return _effect(match.pair, claim, measure, match.unit, match.machine, amount)


def _effect(
    pair: Pair,
    claim: Claim,
    measure: Measure,
    unit: str,
    machine: str = "",
    amount: float = math.nan,
    reached: Sequence[float] = (math.nan, math.nan),
) -> Effect:
    row: EffectRow = {
        **pair.subject,
        "claim": claim,
        "units": [unit],
        "quantity": measure.quantity,
        "better": measure.better,
        "amount": amount,
        "machine": machine,
        "reached": reached[0],
        "base_reached": reached[1],
    }
    return Effect(row, measure.differences)


def _distinct(effects: Iterable[Effect]) -> list[Effect]:
    """Effects that are the same in several units, such as equal passes and equal steps, as one."""
    kept: list[Effect] = []
    for effect in effects:
        for number, other in enumerate(kept):
            if _are_one(effect, other):
                units = [*other.row["units"], *effect.row["units"]]
                kept[number] = replace(other, row={**other.row, "units": units})
                break
        else:
            kept.append(effect)
    return kept


def _are_one(one: Effect, two: Effect) -> bool:
    about = [(e.row["claim"], e.row["quantity"], e.row["machine"]) for e in (one, two)]
    return about[0] == about[1] and np.allclose(
        one.differences, two.differences, rtol=1e-6, equal_nan=True
    )
