"""Comparison -> one HTML page: no script, nothing from elsewhere, light and dark."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any

from msbench.compare.rows import Comparison
from msbench.errors import printable
from msbench.report.findings import MARKS, findings, summary
from msbench.report.format import Cells
from msbench.report.plots import PLOTS, Plot, picture
from msbench.report.plots.series import MOST, choose_series
from msbench.report.plots.style import DARK, PAPER
from msbench.report.plots.svg import svg, variables
from msbench.report.tables import legend, tables
from msbench.spec import UNITS

TASKS, ROWS, LINES = 8, 1000, 12
"""Most tasks with pictures, rows of a table and sentences of a comparison that a page shows."""


@dataclass(frozen=True)
class Section:
    """The pictures of one kind, and what is to be said of them."""

    name: str
    title: str
    caption: str
    pictures: Sequence[tuple[str, Any]] = ()
    """(title, SVG)."""
    note: str = ""


def report(
    comparison: Comparison,
    *,
    title: str = "",
    command: str = "",
    problems: Sequence[str] = (),
    licences: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """The page as HTML text; the same arguments give the same text.

    title: what the results are called. command: makes the page again. problems: lines of the
    results that could not be read. licences: of the data, by task name. What is too much for a
    page is left out and counted there, never silently.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    def shown(value: Any) -> Any:
        plain = isinstance(value, str) and not isinstance(value, Markup)
        return printable(value.replace("\n", " ")) if plain else value

    environment = Environment(
        autoescape=True,
        finalize=shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = (files("msbench.report") / "page.html").read_text(encoding="utf-8")
    return environment.from_string(template).render(
        title=title or "results",
        colours=Markup(_colours()),
        summary=summary(comparison),
        findings=findings(comparison),
        marks=MARKS,
        notes=_notes(comparison, problems),
        tables=[(name, *_cut(_whole(rows))) for name, rows in tables(comparison)],
        legend=legend(replace(comparison, notes=(), freezing=())),
        freezing=comparison.freezing,
        sections=[_section(comparison, plot, Markup) for plot in PLOTS.values()],
        failures=_cut(_failures(comparison)),
        parts=_cut(_parts(comparison)),
        machines=_cut(_machines(comparison)),
        data=_data(comparison, licences or {}),
        command=command,
        lines=LINES,
        newline=Markup("\n"),
    )


def _section(comparison: Comparison, plot: Plot, markup: Any) -> Section:
    panels = plot.panels(comparison)
    if not panels:
        return Section(plot.name, plot.title, "", note=f"No picture: {plot.nothing}.")
    pictures = [
        picture(comparison, plot, [task], along)
        for task in [*panels][:TASKS]
        for along in plot.units or UNITS[:1]
    ]
    drawn = [
        (
            each.title.removeprefix(plot.title).strip(", "),
            markup(svg(replace(each, name=f"{plot.name}-{number}"))),
        )
        for number, each in enumerate(pictures)
    ]
    notes = []
    if len(panels) > TASKS:
        notes.append(
            f"The first {TASKS} of {len(panels)} tasks are drawn; msbench plot draws any of them."
        )
    if not plot.names_beside and (left_out := plot.series(comparison).left_out):
        notes.append(
            f"The baseline and the best {MOST - 1} strategies by rank are named here; {left_out} "
            f"more are grey, and may leave the frame; the tables name all."
        )
    machines = {row["machine"] for rows in panels.values() for row in rows if plot.units}
    if len(machines) > 1:
        notes.append("Of several machines the one with the most strategies is drawn.")
    return Section(plot.name, plot.title, plot.caption, drawn, " ".join(notes))


def _notes(comparison: Comparison, problems: Sequence[str]) -> list[str]:
    """What is to be borne in mind; the first fifty, and how many more there are."""
    notes = [*problems[:10]]
    if len(problems) > 10:
        notes.append(f"and {len(problems) - 10} more lines were skipped")
    notes += comparison.notes
    more = [f"and {len(notes) - 50} more notes"] if len(notes) > 50 else []
    return [*notes[:50], *more]


def _whole(rows: Cells) -> Cells:
    """With the task in every row: a page is scrolled, and read aloud."""
    task = ""
    for row in rows:
        if "task" in row:
            task = row["task"] = row["task"] or task
    return rows


def _cut(rows: Cells) -> tuple[Cells, int]:
    """(what a page shows, how many rows are left out)."""
    return rows[:ROWS], max(0, len(rows) - ROWS)


def _failures(comparison: Comparison) -> Cells:
    series = choose_series(comparison)
    return [
        {
            "task": row["task"],
            "strategy": series.name(row),
            "stage": row["stage"],
            "status": row["status"],
            "seeds": ", ".join(map(str, row["seeds"][:20]))
            + (f" and {len(row['seeds']) - 20} more" if len(row["seeds"]) > 20 else ""),
            "reason": row["reason"],
        }
        for row in comparison.failures
    ]


def _parts(comparison: Comparison) -> Cells:
    return [
        {
            "kind": row["kind"],
            "called": row["label"],
            "name": row["name"],
            "plugin": f"{row['plugin']} {row['version']}",
            "options": ", ".join(f"{k}={_plain(v)}" for k, v in row["options"].items()) or "-",
        }
        for row in comparison.parts
    ]


def _plain(value: Any) -> str:
    """An option as a suite would write it; of a part its name and options."""
    if isinstance(value, Mapping) and "name" in value:
        inside = ", ".join(f"{k}={_plain(v)}" for k, v in value.get("options", {}).items())
        return f"{value['name']}({inside})"
    return json.dumps(value, ensure_ascii=False)


def _machines(comparison: Comparison) -> Cells:
    rows = []
    for row in comparison.machines:
        about = dict(row["about"])
        versions = about.pop("versions", {})
        rows.append(
            {
                "machine": row["machine"],
                "about": ", ".join(f"{k} {v}" for k, v in about.items()) or "-",
                "versions": ", ".join(f"{k} {v}" for k, v in versions.items()) or "-",
            }
        )
    return rows


def _data(comparison: Comparison, licences: Mapping[str, Sequence[str]]) -> Cells:
    return [
        {
            "task": row["label"],
            "data": row["data"] or "-",
            "sizes": ", ".join(f"{k} {v:,}" for k, v in row["sizes"].items()) or "-",
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
