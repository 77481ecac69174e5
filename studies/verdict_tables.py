"""The tables of docs/statistics.md, "Verdicts", from the figures that studies/verdicts.py left."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interval_tables import table

OUT = Path(__file__).parent.parent / "results/reference/verdicts.json"

SIZES = (3, 4, 5, 10)
"""Seeds."""


def _percent(share: float | None) -> str:
    return "-" if share is None or share != share else f"{100 * share:.1f}"


def _by_size(figures: Mapping[str, Any], name: str = "") -> str:
    """At 3 / 4 / 5 / 10 seeds."""
    values = [figures[str(n)] for n in SIZES]
    return " / ".join(_percent(each[name] if name else each) for each in values)


def tables(known: Mapping[str, Any]) -> dict[str, str]:
    """By name; a cell with four numbers is for 3 / 4 / 5 / 10 seeds, in %."""
    families = known["families"]
    rules = list(next(iter(families.values())))
    scales = known["scales"]
    methods = list(next(iter(scales.values())))
    tests = list(known["fragile"]["ceiling"])
    return {
        "comparisons": table(
            [
                [kind, *(_by_size(each, name) for name in ("coverage", "better", "worse"))]
                for kind, each in known["comparisons"].items()
            ],
            ["seeds", "coverage", "false better", "false worse"],
        ),
        "families": table(
            [
                [kind, *(_by_size(each[rule], "task") for rule in rules)]
                for kind, each in families.items()
            ],
            ["seeds", *rules],
        ),
        "suites": table(
            [
                [kind, *(_by_size(each[rule], "suite") for rule in ("Holm", "unadjusted"))]
                for kind, each in families.items()
            ],
            ["seeds", "Holm in each task", "unadjusted"],
        ),
        "power": table(
            [
                [rule, *(_by_size(each[rule]) if rule in each else "" for each in power)]
                for power in [list(known["power"].values())]
                for rule in ("all rows", *rules)
            ],
            ["rule", *known["power"]],
        ),
        "scales": table(
            [
                [
                    kind,
                    method,
                    *(_by_size(each[method], name) for name in ("coverage", "outside")),
                    " / ".join(f"{each[method][str(n)]['width']:.3f}" for n in SIZES),
                ]
                for kind, each in scales.items()
                for method in methods
            ],
            ["shares right", "interval", "coverage", "leaves the range", "mean width"],
        ),
        "fragile": table(
            [
                [kind, *(_by_size(each[test]) if test in each else "" for test in tests)]
                for kind, each in known["fragile"].items()
            ]
            + [
                [
                    "power: 99 % against 98 %",
                    *(_by_size(known["power at the ceiling"][test]) for test in tests),
                ]
            ],
            ["seeds", *tests],
        ),
        "seen": table(
            [
                [
                    kind,
                    *(_by_size(each, name) for name in ("seen", "wrong if seen", "wrong if not")),
                ]
                for kind, each in known["seen"].items()
            ],
            ["seeds", "a collapse is seen", "t-test wrong if seen", "t-test wrong if not"],
        ),
        "equivalence": table(
            [
                [name, _by_size(known["equivalence"], name)]
                for name in known["equivalence"][str(SIZES[0])]
            ],
            ["rule", "tasks with a false equivalent"],
        ),
    }
