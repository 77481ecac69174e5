"""Comparison -> one HTML page: no script, nothing from elsewhere, light and dark."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from typing import Any, NamedTuple

from msbench.compare.rows import Comparison
from msbench.compare.side_by_side import Outputs
from msbench.errors import printable
from msbench.report.drawing import Drawn, Wanted, drawings
from msbench.report.findings import MARKS, findings, summary
from msbench.report.format import Cells
from msbench.report.legend import legend
from msbench.report.outputs import example_cells, headings, shown_by_task
from msbench.report.plots import PLOTS, Plot
from msbench.report.plots.series import MOST, choose_series
from msbench.report.plots.style import DARK, PAPER
from msbench.report.plots.svg import variables
from msbench.report.tables import tables
from msbench.spec import UNITS, is_part

TASKS, ROWS, LINES = 8, 1000, 12
"""Most tasks with pictures, rows of a table and sentences of a comparison that a page shows."""


class Section(NamedTuple):
    """The pictures of one kind, and what is to be said of them."""

    plot: Plot[Any]
    pictures: Sequence[Drawn]
    note: str


def report(
    comparison: Comparison,
    *,
    title: str = "",
    command: str = "",
    problems: Sequence[str] = (),
    unsealed: Sequence[str] = (),
    licences: Mapping[str, Sequence[str]] | None = None,
    outputs: Outputs | None = None,
) -> str:
    """The page as HTML text; the same arguments give the same text.

    title: what the results are called. command: makes the page again. problems: lines of the
    results that could not be read. unsealed: files with records that have no checksum. licences: of
    the data, by task name. outputs: examples of what strategies wrote. What is too much for a page
    is left out and counted there, never silently.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    def one_line(value: Any) -> Any:
        plain = isinstance(value, str) and not isinstance(value, Markup)
        return printable(value.replace("\n", " ")) if plain else value

    wanted = [picture for plot in PLOTS.values() for picture in _wanted(comparison, plot)]
    drawn = list(zip(wanted, drawings(comparison, wanted), strict=True))
    opening, *sections = (
        _section(comparison, plot, [made for each, made in drawn if each.plot == plot.name])
        for plot in PLOTS.values()
    )
    environment = Environment(
        autoescape=True,
        finalize=one_line,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = (files("msbench.report") / "page.html").read_text(encoding="utf-8")
    return environment.from_string(template).render(
        title=title or "results",
        colours=_colours(),
        summary=summary(comparison),
        findings=findings(comparison),
        marks=MARKS,
        notes=_notes(comparison, problems, unsealed),
        tables=[(each.title, *_cut(_undo_ditto(each.cells))) for each in tables(comparison)],
        legend=legend(replace(comparison, notes=(), freezing=())),
        freezing=comparison.freezing,
        opening=opening,
        sections=sections,
        outputs=_outputs(outputs) if outputs else [],
        outputs_notes=outputs.notes if outputs else [],
        failures=_cut(_failures(comparison)),
        parts=_cut(_parts(comparison)),
        machines=_cut(_machines(comparison)),
        data=_data(comparison, licences or {}),
        command=command,
        lines=LINES,
        newline=Markup("\n"),
    )


def _tasks(comparison: Comparison, plot: Plot[Any]) -> list[str]:
    """Those with a picture of their own; "" is all of them in one."""
    panels = plot.panels(comparison).values()
    return [*dict.fromkeys("" if plot.over_tasks else rows[0]["task"] for rows in panels)]


def _wanted(comparison: Comparison, plot: Plot[Any]) -> list[Wanted]:
    """The pictures of one kind."""
    units = plot.units or UNITS[:1]
    each = ((task, unit) for task in _tasks(comparison, plot)[:TASKS] for unit in units)
    return [Wanted(plot.name, *one, number) for number, one in enumerate(each)]


def _section(comparison: Comparison, plot: Plot[Any], drawn: Sequence[Drawn]) -> Section:
    panels, tasks = plot.panels(comparison), _tasks(comparison, plot)
    if not panels:
        return Section(plot, (), f"No picture: {plot.nothing}.")
    notes = []
    if len(tasks) > TASKS:
        notes.append(
            f"The first {TASKS} of {len(tasks)} tasks are drawn; msbench plot draws any of them."
        )
    if not plot.names_beside and (left_out := plot.series(comparison).left_out):
        notes.append(
            f"The baseline and the best {MOST - 1} strategies by rank are named here; {left_out} "
            f"more are grey, and may leave the frame; the tables name all."
        )
    machines = {row["machine"] for rows in panels.values() for row in rows if plot.units}
    if len(machines) > 1:
        notes.append("Of several machines the one with the most strategies is drawn.")
    return Section(plot, drawn, " ".join(notes))


def _outputs(outputs: Outputs) -> list[tuple[str, Cells, int]]:
    """(what they are of, rows, how many rows are left out) of the first tasks."""
    found = []
    titles = headings(outputs)
    for task, examples in [*shown_by_task(outputs).items()][:TASKS]:
        short = [replace(each, written=each.written[:LINES]) for each in examples]
        left = sum(len(each.written) - LINES for each in examples if len(each.written) > LINES)
        found.append((titles[task], [row for each in short for row in example_cells(each)], left))
    return found


def _notes(comparison: Comparison, problems: Sequence[str], unsealed: Sequence[str]) -> list[str]:
    """What to bear in mind; the first fifty, and how many more there are."""
    notes = [*problems[:10]]
    if len(problems) > 10:
        notes.append(f"and {len(problems) - 10} more lines were skipped")
    notes += [*unsealed, *comparison.notes]
    more = [f"and {len(notes) - 50} more notes"] if len(notes) > 50 else []
    return [*notes[:50], *more]


def _undo_ditto(cells: Cells) -> Cells:
    """With the task in every row: a page is scrolled, and read aloud."""
    task = ""
    for row in cells:
        if "task" in row:
            task = row["task"] = row["task"] or task
    return cells


def _cut(cells: Cells) -> tuple[Cells, int]:
    """(what a page shows, how many rows are left out)."""
    return cells[:ROWS], max(0, len(cells) - ROWS)


def _failures(comparison: Comparison) -> Cells:
    series = choose_series(comparison)
    cells = []
    for row in comparison.failures:
        seeds, left = ", ".join(map(str, row["seeds"][:20])), len(row["seeds"]) - 20
        cells.append(
            {
                "task": row["task"],
                "strategy": series.name(row),
                "stage": row["stage"],
                "status": row["status"],
                "seeds": f"{seeds} and {left} more" if left > 0 else seeds,
                "reason": row["reason"],
            }
        )
    return cells


def _parts(comparison: Comparison) -> Cells:
    return [
        {
            "kind": row["kind"],
            "called": row["label"],
            "name": row["name"],
            "plugin": f"{row['plugin']} {row['version']}",
            "options": _options(row["options"]) or "-",
        }
        for row in comparison.parts
    ]


def _options(options: Mapping[str, Any]) -> str:
    """As a suite would write them; of a part its name and options."""
    texts = (
        f"{value['name']}({_options(value['options'])})"
        if is_part(value)
        else json.dumps(value, ensure_ascii=False)
        for value in options.values()
    )
    return ", ".join(f"{name}={text}" for name, text in zip(options, texts, strict=True))


def _machines(comparison: Comparison) -> Cells:
    return [
        {
            "machine": row["machine"],
            "about": _pairs({k: v for k, v in row["about"].items() if k != "versions"}),
            "versions": _pairs(row["about"].get("versions", {})),
        }
        for row in comparison.machines
    ]


def _pairs(mapping: Mapping[str, Any], form: str = "{} {}") -> str:
    return ", ".join(form.format(*pair) for pair in mapping.items()) or "-"


def _data(comparison: Comparison, licences: Mapping[str, Sequence[str]]) -> Cells:
    return [
        {
            "task": row["label"],
            "data": row["data"] or "-",
            "sizes": _pairs(row["sizes"], "{} {:,}"),
            "licence": "; ".join(licences.get(row["name"], ()))
            or f"not known here: msbench info task:{row['name']}",
        }
        for row in comparison.parts
        if row["kind"] == "task"
    ]


def _colours() -> str:
    """The CSS variables of both themes; on paper the light one."""
    names = {colour: variable[4:-1] for colour, variable in variables().items()}
    light = "".join(f"{name}:{colour};" for colour, name in names.items())
    dark = "".join(f"{name}:{DARK[colour]};" for colour, name in names.items())
    return (
        f":root{{--paper:{PAPER['light']};{light}}}\n"
        f"@media screen and (prefers-color-scheme:dark){{:root{{--paper:{PAPER['dark']};{dark}}}}}"
    )
