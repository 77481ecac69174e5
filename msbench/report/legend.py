"""What tables mean and what was left open: sentences below those that are shown."""

import math
from collections.abc import Collection, Iterator, Sequence

from msbench.compare.rows import AccuracyRow, Comparison
from msbench.compare.yardsticks import headlines
from msbench.report.format import probability
from msbench.spec import TABLES, Compared

VERDICTS = ("accuracy", "secondary")
"""The tables with verdicts against the baseline."""


COLUMNS = (
    *("Per example", "Overfitting", "Speed", "First token", "Output length"),
    *("Log-probability", "To decide"),
)
"""Columns that have a sentence of their own, which begins with their name."""


def legend(
    comparison: Comparison,
    names: Sequence[str] = TABLES,
    columns: Collection[str] | None = None,
) -> list[str]:
    """What the named tables mean and what was left open, a sentence a line.

    columns: those that are shown. Default: all.
    """
    known = columns if columns is not None else [name.lower() for name in COLUMNS]
    gone = [name for name in COLUMNS if not any(c.startswith(name.lower()) for c in known)]
    lines = [
        sentence
        for about, sentence in _meanings(comparison)
        if {*about} & {*names} and sentence.partition(":")[0] not in gone
    ]
    lines += headlines(comparison.yardsticks, comparison.against, comparison.by)
    if comparison.freezing and "targets" in names:
        lines.append(
            f"Target losses: median of the best of {comparison.baseline}; these lines in the suite "
            "freeze them:"
        )
        lines += comparison.freezing
    return [*lines, *comparison.notes]


def _meanings(comparison: Comparison) -> Iterator[tuple[Sequence[str], str]]:
    """(tables that it is about, sentence)."""
    yield from _of_verdicts(comparison)
    if comparison.against:
        yield (
            ("against",),
            "Yardsticks are no strategies, are fitted once and have no spread: verdicts against "
            "them are over the strategy's seeds on these test examples, adjusted for the "
            "strategies of the task (Holm); other examples: the paired test over seeds and "
            "examples.",
        )
    yield from _of_costs(comparison)
    if comparison.ranks:
        row = comparison.ranks[0]
        yield (
            ("ranks",),
            f"Ranks: 1 is best, by task; Friedman {probability(row['p'])}; ranks closer than "
            f"{row['critical_difference']:.2f} are not told apart (same letter, Nemenyi 5 %).",
        )
    if comparison.profiles:
        yield (
            ("profiles",),
            f"Profiles: share of tasks and seeds that reach the target loss within so many times "
            f"the gradient passes of {comparison.baseline} [95 % interval].",
        )


def _of_verdicts(comparison: Comparison) -> Iterator[tuple[Sequence[str], str]]:
    base = comparison.baseline
    yield (
        VERDICTS,
        f"Mean and 95 % interval over seeds; differences to {base} are paired by seed, with their "
        "interval in brackets.",
    )
    yield from ((VERDICTS, sentence) for sentence in _errors(comparison))
    if any(row["primary"] and not row["decides"] for row in comparison.accuracy):
        yield (
            ("secondary",),
            "Secondary: other decoders and metrics, each adjusted for itself; they decide nothing.",
        )
    yield from (((*VERDICTS, "against"), sentence) for sentence in _looks(comparison))
    yield (
        (*VERDICTS, "against"),
        "The margin is the largest difference that does not matter, and equivalent means within "
        f"it: {_margins(comparison)}.",
    )
    yield (
        (*VERDICTS, "against"),
        "To decide: about so many seeds would, for a difference of this size and spread.",
    )
    if any(not math.isnan(row["example_p"]) for row in comparison.accuracy):
        yield (
            VERDICTS,
            "Per example: over seeds and test examples, so also for other examples; p is no "
            "smaller than over seeds alone. It is of the mean of single scores, in which every "
            "output counts alike: a corpus score, in which long ones count more, may say the "
            "opposite, and a remark then says so.",
        )


def _of_costs(comparison: Comparison) -> Iterator[tuple[Sequence[str], str]]:
    if comparison.training or comparison.targets or comparison.tuning:
        yield (
            ("training", "targets", "tuning"),
            "A gradient pass is one forward and backward pass over a whole batch.",
        )
    if comparison.training:
        yield (
            ("training",),
            "Validation loss: the best. Seconds: of training, beside other trials.",
        )
        yield ("training",), "Overfitting: the last validation loss minus the best."
        yield (
            ("training",),
            f"Speed: measured alone, as a multiple of that of {comparison.baseline}.",
        )
    if comparison.targets:
        yield (
            ("targets",),
            "To target: up to the first validation at the target loss or below, median over seeds; "
            "inf = not reached.",
        )
    if comparison.throughput:
        yield (
            ("throughput",),
            "Speed: median; ratios to the first of each group are formed within rounds.",
        )
    if comparison.tuning:
        yield (
            ("tuning",),
            "Tuning: losses are means over the seeds of a point; trials and passes are what the "
            "search cost. The winner ran again on new seeds.",
        )
    if pruned := sum(row["pruned"] for row in comparison.tuning):
        yield (
            ("tuning",),
            f"{pruned} trials of searches were stopped early (prune): they could hardly win.",
        )
    if any(row["metric"] for row in comparison.tuning):
        yield (
            ("tuning",),
            "Tuning: a metric that is named selected the winner, and median and worst are of it.",
        )
    if comparison.decoding:
        yield (
            ("decoding",),
            "First token: milliseconds until it is there.",
        )
        yield ("decoding",), "Output length: as a multiple of the reference's."
        yield ("decoding",), "Log-probability: of an output, in nats."


def _errors(comparison: Comparison) -> list[str]:
    """What decides, and how often that is wrong."""
    rows = [row for row in comparison.accuracy if row["decides"] and row["verdict"]]
    families = {(row["task"], row["metric"], *_around(comparison, row)) for row in rows}
    if not families:
        return ["Verdicts: p is adjusted within a task, model, decoder and metric (Holm)."]
    chance = 1 - 0.95 ** len(families)
    more = (
        f" Any difference of the {len(families)} together is false in up to {chance:.0%} of suites."
        if len(families) > 1
        else ""
    )
    return [
        "Verdicts: p is adjusted within a task and model (Holm): at most 5 % have a false "
        "difference, and at most 5 % a false equivalence." + more,
    ]


def _looks(comparison: Comparison) -> list[str]:
    """What it means that seeds were added until there was a verdict."""
    if not comparison.max_seeds:
        return []
    return [
        f"Seeds were added until there was a verdict, up to {comparison.max_seeds}, with a test "
        "after each: p allows for all of these looks (alpha spending), intervals do not. An "
        "estimate that was stopped by its verdict is biased outward: the true difference is likely "
        "to be smaller. Futile: a verdict had become unlikely."
    ]


def _around(comparison: Comparison, row: AccuracyRow) -> list[str]:
    """What strategies of one family share besides their task and metric."""
    axes: list[Compared] = ["model", "decoder"]
    return [row[axis] for axis in axes if axis != comparison.by]


def _margins(comparison: Comparison) -> str:
    """The margin of every metric that is shown."""
    shown = [row for row in comparison.accuracy if row["primary"] and row["verdict"]]
    found: dict[str, set[float]] = {}
    for row in shown:
        found.setdefault(row["metric"], set()).add(row["margin"])
    texts = []
    for metric, margins in found.items():
        known = sorted(f"{margin:.3g}" for margin in margins if not math.isnan(margin))
        sizes = "none declared" if not known else known[0]
        if len(set(known)) > 1:
            sizes = f"{known[0]} to {known[-1]}"
        texts.append(f"{metric} {sizes}")
    return ", ".join(texts) or "none"
