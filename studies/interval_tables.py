"""The tables of docs/statistics.md, from the figures that studies/intervals.py left."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tabulate import tabulate

OUT = Path(__file__).parent.parent / "results/reference/statistics.json"

SIZES = (3, 5, 10, 20)
"""Seeds."""

EXAMPLE_METHODS = {
    "seeds and examples": "`paired_examples`: crossed effects, Cochran's critical value",
    "Hillis": "the same standard error with Hillis' degrees of freedom",
    "pigeonhole": "percentile bootstrap of seeds and of examples at once (Owen, 2007)",
    "seeds alone": "paired t over the seeds' means",
    "examples alone": "paired t over the examples' means",
}


def table(rows: Any, headers: Any) -> str:
    return str(tabulate(rows, headers, tablefmt="github", disable_numparse=True))


def coverage_table(figures: Mapping[str, Any], methods: Iterable[str]) -> str:
    """Coverage of the 95 % interval in %, at 3 / 5 / 10 / 20 seeds."""
    methods = list(methods)
    rows = [
        [draw, *(_by_size(each[m], "coverage") for m in methods)] for draw, each in figures.items()
    ]
    return table(rows, ["differences", *methods])


def power_table(figures: Mapping[str, Any], methods: Iterable[str]) -> str:
    """Power of the test at 5 % in %, at 3 / 5 / 10 / 20 seeds."""
    methods = list(methods)
    rows = [
        [draw, f"{effect} SD", *(_by_size(each[m], f"power {effect}") for m in methods)]
        for draw, each in figures.items()
        for effect in ("1", "2")
    ]
    return table(rows, ["differences", "effect", *methods])


def family_table(figures: Mapping[str, Any]) -> str:
    """Families with a false positive in %, at 3 / 5 / 10 / 20 seeds."""
    methods = list(next(iter(figures.values())))
    rows = [
        [draw, *(" / ".join(_percent(each[m][str(n)]) for n in SIZES) for m in methods)]
        for draw, each in figures.items()
    ]
    return table(rows, ["scores", *methods])


def _by_size(figures: Mapping[str, Any], name: str) -> str:
    return " / ".join(_percent(figures[str(n)][name]) for n in SIZES)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def tables(known: Mapping[str, Any]) -> dict[str, str]:
    """The tables of docs/statistics.md by name, from what --write left."""
    seeds, examples = known["seeds"], known["examples"]
    methods = list(next(iter(seeds.values())))
    shapes = [
        [name, f"{each['skewness']:.1f}", f"{each['kurtosis']:.1f}"]
        for name, each in known["shapes"].items()
        if name != "heavy tails"
    ]
    variances = [
        [task, each["comparisons"], each["seeds"], each["examples"], *map(_percent, each["shares"])]
        for task, each in known["components"].items()
    ]
    one_seed = [
        [task, _percent(each["seeds and examples"]["1"]["coverage"])]
        for task, each in examples.items()
    ]
    friedman = [
        [row["strategies"], row["blocks"], _percent(row["size"]), f"{row['cd']:.1f}"]
        for row in known["ranks"]
    ]
    bands = [
        [row["problems"], *(_percent(row[name]) for name in ("share", "exact", "bootstrap"))]
        for row in known["profiles"]
    ]
    needed = known["detectable"]
    parts = ["% seed", "% example", "% both and chance"]
    few = {name: seeds[name] for name in ("normal", "skewness 2", "records")}
    return {
        "shapes": table(shapes, ["differences", "skewness", "excess kurtosis"]),
        "coverage": coverage_table(seeds, methods),
        "power": power_table(few, methods),
        "families": family_table(known["families"]),
        "components": table(variances, ["task", "comparisons", "seeds", "examples", *parts]),
        "coverage of examples": coverage_table(examples, EXAMPLE_METHODS),
        "power of examples": power_table(examples, EXAMPLE_METHODS),
        "one seed": table(one_seed, ["differences", "coverage with one seed"]),
        "detectable": table(
            [["SDs", *(f"{value:.2f}" for value in needed.values())]], ["seeds", *needed]
        ),
        "ranks": table(
            friedman, ["strategies", "blocks", "false positives", "critical difference"]
        ),
        "profiles": table(bands, ["problems", "% solved", "exact", "bootstrap"]),
    }
