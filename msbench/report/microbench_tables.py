"""What `msbench microbench` timed -> tables of text."""

import math

from msbench.compare.microbench import CaseRow, Microbench
from msbench.report.format import Cells, drop_empty


def microbench_tables(found: Microbench) -> list[tuple[str, Cells]]:
    """(title, rows) of every table that has rows."""
    cells = drop_empty([_cells(row) for row in found.rows], "before", "change")
    lost = [
        {"case": case, "why": f"{what}: {reason}"}
        for what, reasons in (("skipped", found.skipped), ("failed", found.failed))
        for case, reason in reasons.items()
    ]
    titled = [("Parts alone, in microseconds", cells), ("Not timed", lost)]
    return [(title, rows) for title, rows in titled if rows]


def microbench_legend(found: Microbench) -> list[str]:
    """What the tables mean."""
    lines = ["Time: the least of all times that each was run."]
    if found.compared_with:
        lines.append(f"Before: {found.compared_with}.")
    return lines


def _cells(row: CaseRow) -> dict[str, str]:
    change = row["change"]
    return {
        "case": row["case"],
        "time": f"{1e6 * row['least']:,.0f}",
        "before": "-" if math.isnan(row["before"]) else f"{1e6 * row['before']:,.0f}",
        "change": "-" if math.isnan(change) else f"{change:+.0%}{' SLOWER' * row['slower']}",
    }
