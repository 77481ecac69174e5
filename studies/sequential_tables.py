"""The tables of docs/statistics.md, "Until there is a verdict", from the figures that
studies/sequential.py left."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interval_tables import table

OUT = Path(__file__).parent.parent / "results/reference/sequential.json"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def tables(known: Mapping[str, Any]) -> dict[str, str]:
    """By name; shares in %."""
    rules = [known["rules"][suite] for suite in known["rules"]]
    names = list(next(iter(known["errors"].values())))
    return {
        "levels": table(
            [
                [alpha, *(f"{level:.2g}" for level in each)]
                for alpha, each in known["levels"].items()
            ],
            ["alpha", *(f"{n} seeds" for n in range(3, 13))],
        ),
        "errors": table(
            [
                [kind, *(_percent(each[name]) for name in names)]
                for kind, each in known["errors"].items()
            ],
            ["seeds", *names],
        ),
        "mixed": table([[_percent(share) for share in known["mixed"].values()]], [*known["mixed"]]),
        "estimates": table(
            [
                [
                    f"{size} SD",
                    _percent(each["shown"]),
                    _percent(each["fixed shown"]),
                    f"{each['seeds']:.1f}",
                    "-" if each["estimate"] is None else f"{each['estimate'] / float(size):.2f}",
                    _percent(each["coverage"]),
                ]
                for size, each in known["estimates"].items()
            ],
            [
                "true difference",
                "shown",
                "by 12 seeds at once",
                "seeds, mean",
                "estimate / truth, if shown",
                "coverage of 95 % intervals",
            ],
        ),
        "rules": table(
            [
                [
                    rule,
                    *(" / ".join(_percent(each[rule][k]) for each in rules) for k in SHARES),
                    *(
                        " / ".join(f"{each[rule][k]:.1f}" for each in rules)
                        for k in ("trials", "equal")
                    ),
                    " / ".join(_percent(each[rule]["saved"]) for each in rules),
                ]
                for rule in rules[0]
            ],
            [
                "rule",
                "decided",
                "futile",
                "limit",
                "seeds a strategy",
                "fixed seeds that decide as much",
                "passes saved",
            ],
        ),
    }


SHARES = ("decided", "futile", "limit")
