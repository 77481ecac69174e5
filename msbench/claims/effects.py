"""The four effects that are claimed, measured per pair of strategies and per equal budget."""

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from msbench.claims.evidence import LOSS_MARGIN, Array, Evidence
from msbench.claims.matches import Match, matches
from msbench.claims.pairs import Declared, Pair, decoder_part
from msbench.claims.results import Better, Claim, Subject
from msbench.compare.curves import NEAR, Curve
from msbench.compare.verdicts import margin_of


@dataclass(frozen=True)
class Effect:
    """What a strategy changed against its base, seed by seed; a verdict rests on it."""

    subject: Subject
    claim: Claim
    quantity: str
    better: Better
    differences: Array
    """Per seed; of compute the logarithm of a ratio."""
    units: Sequence[str] = ()
    """In which both had the same budget."""
    machine: str = ""
    amount: float = math.nan
    """The budget; of compute, the target."""
    margin: float = math.nan
    """The largest difference that does not matter."""
    span: float = math.inf
    """The largest difference that there can be."""
    cells: tuple[int, int] = (-1, -1)
    """Rows of the scores, where it is a difference of test scores."""
    reached: Sequence[float] = (math.nan, math.nan)
    """Shares of the seeds that reached the target, of the strategy and of its base."""
    sooner: int = 0
    later: int = 0
    """Seeds in which a target was reached sooner or later than by the base, or by one alone."""


def effects(evidence: Evidence, pair: Pair, declared: Declared) -> list[Effect]:
    """All effects of a pair: those of two decoders, or of two optimizers at every equal budget."""
    if pair.strategy.kind == "decoder":
        metric = _metric(evidence, pair, pair.strategy.cell, pair.base.cell)
        return [replace(metric, units=["training"]), *_cost_of_predicting(evidence, pair)]
    at_end = [*_common_metric(evidence, pair, declared), *_gap(evidence, pair)]
    found: list[Effect] = []
    for match in matches(evidence, pair):
        margin = _loss_margin(evidence, pair)
        measured = [*(at_end if match.is_equal else []), _rise(match, margin)]
        if not any(effect.claim == "accuracy" for effect in measured):
            measured.append(_loss(match, margin))
        found += [_within(match, effect) for effect in measured]
    return _distinct([*found, *_cost_of_target(evidence, pair)])


def _loss(match: Match, margin: float) -> Effect:
    """The validation loss at the common amount."""
    mine, base = match.read(Curve.at, match.common)
    subject = match.pair.subject
    effect = Effect(subject, "accuracy", "validation loss", "lower", mine - base)
    return replace(effect, margin=margin)


def _rise(match: Match, margin: float) -> Effect:
    """How far validation loss had risen from its best when the common amount was spent."""
    mine, base = match.read(Curve.rise, match.common)
    subject = match.pair.subject
    effect = Effect(subject, "overfitting", "rise of validation loss", "lower", mine - base)
    return replace(effect, margin=margin)


def _loss_margin(evidence: Evidence, pair: Pair) -> float:
    """What does not matter of losses: a share of the base's best."""
    best = evidence.best(pair.base.trials)
    known = best[np.isfinite(best)]
    margin = LOSS_MARGIN * abs(float(known.mean())) if known.size else math.nan
    return margin if margin > 0 else math.nan


def _within(match: Match, effect: Effect) -> Effect:
    """The effect in the seeds of a match, at the mean budget of those that count."""
    differences = np.where(match.seeds, effect.differences, np.nan)
    amounts = match.common[~np.isnan(differences) & ~np.isnan(match.common)]
    return replace(
        effect,
        differences=differences,
        units=[match.unit],
        machine=match.machine,
        amount=float(amounts.mean()) if amounts.size else math.nan,
    )


def _common_metric(evidence: Evidence, pair: Pair, declared: Declared) -> Iterator[Effect]:
    """The task's metric by the decoder that decides, else by one that both have, a single-step one
    if there is one."""
    mine = evidence.cells.get(pair.strategy.axes, {})
    base = evidence.cells.get(pair.base.axes, {})
    decides = evidence.settled.asked.decoders.get(pair.strategy.axes.task)

    def first(decoder: str) -> tuple[bool, bool, str]:
        name = decoder_part(evidence, mine[decoder])["name"]
        return decoder != decides, bool(declared.get(("decoder", name), ("", ""))[0]), decoder

    for decoder in sorted(mine.keys() & base.keys(), key=first)[:1]:
        yield _metric(evidence, pair, mine[decoder], base[decoder])


def _metric(evidence: Evidence, pair: Pair, mine: int, base: int) -> Effect:
    """The test metric of two rows of the scores."""
    cell, values = evidence.scores.cells[mine], evidence.scores.values
    better: Better = "lower" if cell["lower_is_better"] else "higher"
    difference = values[mine] - values[base]
    effect = Effect(pair.subject, "accuracy", f"test {cell['metric']}", better, difference)
    known = values[base][~np.isnan(values[base])]
    margin = margin_of(cell, float(known.mean())) if known.size else math.nan
    span = cell["highest"] - cell["lowest"]
    return replace(effect, cells=(mine, base), margin=margin, span=span)


def _gap(evidence: Evidence, pair: Pair) -> Iterator[Effect]:
    """How much larger the loss is on test than on training data, if records say."""
    gaps = evidence.columns.trials["generalization_gap"][pair.trials]
    mine, base = np.where(evidence.ok(pair.trials), gaps, np.nan)
    if not np.isnan(mine - base).all():
        quantity = "test loss minus training loss"
        effect = Effect(pair.subject, "generalization", quantity, "lower", mine - base)
        yield replace(effect, margin=_loss_margin(evidence, pair))


def _cost_of_target(evidence: Evidence, pair: Pair) -> Iterator[Effect]:
    """What it took to the median of the base's best validation losses, as a ratio."""
    target = _target(evidence, pair)
    if not math.isfinite(target):
        return
    for match in matches(evidence, pair, ("passes", "flops", "seconds"), ok=False):
        if np.isnan(match.spent).all():
            continue  # older records do not count FLOPs
        took = match.read(Curve.reached, np.full(len(match.seeds), target))
        took = np.where(match.seeds & ~evidence.ok(pair.trials), np.inf, took)
        yield replace(
            _ratio(match, f"cost of loss {target:.4g}", took),
            amount=target,
            reached=np.isfinite(took[:, match.seeds]).mean(axis=1).tolist(),
            sooner=int((took[0] < took[1]).sum()),
            later=int((took[0] > took[1]).sum()),
        )


def _target(evidence: Evidence, pair: Pair) -> float:
    """The median over the base's trials of their best validation loss; infinite without one."""
    best = evidence.best(pair.base.trials)
    known = best[~np.isnan(best)].tolist()
    # Of an even number the higher of the two in the middle: the median trial itself reaches it.
    return statistics.median_high(known) if known else math.inf


def _cost_of_predicting(evidence: Evidence, pair: Pair) -> Iterator[Effect]:
    """What predicting the test split took, as a ratio."""
    places = evidence.scores.place[[pair.strategy.cell, pair.base.cell]]
    rows = evidence.columns.predictions(pair.trials, places)
    for match in matches(evidence, pair, ("steps", "seconds")):
        costs = np.append(evidence.columns.decoded[match.unit], np.nan)  # which is at -1
        took = np.where(match.seeds, costs[rows], np.nan)
        if not np.isnan(took).all():
            yield _ratio(match, "cost of predicting", took)


def _ratio(match: Match, quantity: str, took: Array) -> Effect:
    """Of two costs, in the seeds in which both are known and finite."""
    with np.errstate(invalid="ignore"):
        logarithm = np.log(took[0]) - np.log(took[1])
    logarithm = np.where(np.isfinite(took).all(axis=0), logarithm, np.nan)
    subject = match.pair.subject
    effect = Effect(subject, "compute", quantity, "lower", logarithm, [match.unit], match.machine)
    return replace(effect, margin=math.log1p(NEAR))


def _distinct(effects: Iterable[Effect]) -> list[Effect]:
    """Effects that are the same in several units, such as equal passes and equal steps, as one."""
    kept: list[Effect] = []
    for effect in effects:
        same = next((i for i, other in enumerate(kept) if _are_same(effect, other)), None)
        if same is None:
            kept.append(effect)
        else:
            kept[same] = replace(kept[same], units=[*kept[same].units, *effect.units])
    return kept


def _are_same(one: Effect, two: Effect) -> bool:
    about = (one.claim, one.quantity, one.machine) == (two.claim, two.quantity, two.machine)
    return about and np.allclose(one.differences, two.differences, rtol=1e-6, equal_nan=True)
