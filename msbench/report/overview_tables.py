"""Overview -> a table of text."""

from collections.abc import Sequence

from msbench.compare.overview import Overview, complete
from msbench.report.format import Cells

SPARE = ("versions", "decoders", "models", "devices", "damaged", "outputs", "seeds")
"""Columns that a narrow terminal can do without, the first to go first."""

NAMED = 3
"""Names that are told; of more there is a number."""


def overview_cells(overview: Overview) -> Cells:
    """A row for each folder."""
    cells = [
        {
            "results": row["results"],
            "finished": row["finished"][:16].replace("T", " "),
            "trials": complete(row),
            "tasks": _names(row["tasks"]),
            "optimizers": _names(row["optimizers"]),
            "models": _names(row["models"]),
            "decoders": _names(row["decoders"]),
            "seeds": str(len(row["seeds"])),
            "devices": _names(row["devices"]),
            "versions": "; ".join(row["versions"]),
            "outputs": str(row["outputs"] or ""),
            "damaged": str(row["damaged"] or ""),
        }
        for row in overview.rows
    ]
    empty = [name for name in ("outputs", "damaged") if not any(row[name] for row in cells)]
    return [{name: cell for name, cell in row.items() if name not in empty} for row in cells]


def _names(names: Sequence[str]) -> str:
    left = len(names) - NAMED
    return ", ".join(names) if left <= 0 else f"{', '.join(names[:NAMED])} and {left} more"
