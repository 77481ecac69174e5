"""Learning curves: validation loss against what was spent."""

from typing import TYPE_CHECKING

from msbench.compare.rows import Comparison
from msbench.report.plots.axes import behind, digits, legend_name, one_machine, said, scale
from msbench.report.plots.series import Lineup, and_others, in_order, others_of
from msbench.report.plots.style import look

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def curves(axes: "Axes", comparison: Comparison, who: Lineup, task: str, along: str) -> str:
    every = [row for row in comparison.curves if row["task"] == task]
    rows = one_machine(every)
    where = f" on {said(rows[0]['machine'])}" if len(rows) < len(every) else ""
    told, drawn, others = [], in_order(rows, who), others_of(rows, who)
    behind(axes, [(row[along], row["validation_loss"]) for row in others], alone=not drawn)
    for row in drawn:
        about = look(who.number(row))
        x, y = row[along], row["validation_loss"]
        axes.plot(x, y, label=legend_name(who.name(row)), **about)
        if row["n_ok"] > 1:
            axes.fill_between(
                x,
                row["lowest"],
                row["highest"],
                color=about["color"],
                alpha=0.15 if len(drawn) < 5 else 0.08,
                linewidth=0,
            )
        first, last = (f"{digits(y[at])} at {digits(x[at])}" for at in (0, -1))
        told.append(f"{said(who.name(row))} {first} to {last}")
    scale(axes, "y", [value for row in drawn or others for value in row["lowest"] + row["highest"]])
    axes.set_xlabel("training seconds" if along == "seconds" else along)
    axes.set_ylabel("validation loss")
    seeds = max((row["n_ok"] for row in rows), default=0)
    return (
        f"Median validation loss on {said(task)}{where} against {along}, from the first "
        f"measurement to the last; the band is the lowest to the highest of up to {seeds} seeds: "
        f"{'; '.join(told)}{and_others(others)}."
    )
