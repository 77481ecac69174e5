"""Learning curves: validation loss against what was spent."""

from msbench.compare.rows import CurveRow
from msbench.report.format import number
from msbench.report.plots.axes import (
    draw_in_grey,
    in_text,
    legend_name,
    one_machine,
    scale,
)
from msbench.report.plots.plot import Panel, Plot
from msbench.report.plots.series import and_others
from msbench.report.plots.style import look
from msbench.spec import UNITS


def _draw(panel: Panel[CurveRow]) -> str:
    axes, every, series, along = panel.axes, panel.rows, panel.series, panel.along
    rows = one_machine(every)
    named, others = series.split(rows)
    draw_in_grey(axes, [(row[along], row["validation_loss"]) for row in others], alone=not named)
    ends = []
    for row in named:
        line = look(series.number(row))
        x, y = row[along], row["validation_loss"]
        axes.plot(x, y, label=legend_name(series.name(row)), **line)
        if row["n_ok"] > 1:
            band = {"color": line["color"], "alpha": 0.15 if len(named) < 5 else 0.08}
            axes.fill_between(x, row["lowest"], row["highest"], linewidth=0, **band)
        first, last = (f"{number(y[at])} at {number(x[at])}" for at in (0, -1))
        ends.append(f"{in_text(series.name(row))} {first} to {last}")
    scale(
        axes, "y", [loss for row in named or others for loss in (*row["lowest"], *row["highest"])]
    )
    axes.set_xlabel("training seconds" if along == "seconds" else along)
    axes.set_ylabel("validation loss")
    machine = f" on {in_text(rows[0]['machine'])}" if len(rows) < len(every) else ""
    seeds = max((row["n_ok"] for row in rows), default=0)
    return (
        f"Median validation loss on {in_text(panel.title)}{machine} against {along}, from the "
        f"first measurement to the last; the band is the lowest to the highest of up to {seeds} "
        f"seeds: {'; '.join(ends)}{and_others(others)}."
    )


PLOT = Plot[CurveRow](
    name="curves",
    title="Learning curves",
    caption="Line: median over the seeds that ended ok; band: the lowest to the highest seed.",
    nothing="no trial that ended ok measured a validation loss",
    rows=lambda comparison: comparison.curves,
    draw=_draw,
    units=UNITS,
    of_losses=True,
)
