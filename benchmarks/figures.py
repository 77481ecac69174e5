"""What scripts measured -> results/performance/*.json -> the tables of docs/performance.md.

A script ends with `save("loop", rows)`. Its file holds the command, the machine and the rows, each
made by `figure` or `compared`. The same on a GPU is `save("loop", rows, card="NVIDIA H200")`, which
writes loop-cuda.json: its rows fill the column CUDA beside those of the same section and name.
"""

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, Literal, TypedDict

from rounds import ratio_interval
from tabulate import tabulate

from msbench.run.device import machine

FOLDER = Path(__file__).parent.parent / "results" / "performance"

Section = Literal["training", "scores", "decoding", "run", "growth"]


class Figure(TypedDict):
    """One number, and what it is to be seen beside. None is not known, or not wanted."""

    section: Section
    name: str
    """What was measured, of which shape."""
    value: float
    unit: str
    peer: str
    """What was measured in the same run; empty for nothing."""
    peer_value: float | None
    ratio: float | None
    """Of msbench's speed to the peer's (above 1: msbench is faster), with its 95 % interval."""
    low: float | None
    high: float | None
    goal: str
    limit: str
    """What keeps it from being faster."""


def figure(
    section: Section,
    name: str,
    value: float,
    unit: str,
    *,
    peer: str = "",
    peer_value: float | None = None,
    goal: str = "",
    limit: str = "",
) -> Figure:
    """A number of which no ratio is formed."""
    return Figure(
        section=section, name=name, value=value, unit=unit, peer=peer, peer_value=peer_value,
        ratio=None, low=None, high=None, goal=goal, limit=limit,
    )  # fmt: skip


def compared(
    section: Section,
    name: str,
    mine: Sequence[float],
    peer: str,
    theirs: Sequence[float],
    unit: str,
    *,
    goal: str = "",
    limit: str = "",
) -> Figure:
    """Speeds, more is better, of the same rounds."""
    ratio, low, high = ratio_interval(mine, theirs)
    alone = figure(
        section, name, median(mine), unit, peer=peer, peer_value=median(theirs), goal=goal,
        limit=limit,
    )  # fmt: skip
    return {
        **alone,
        "ratio": ratio,
        "low": low,
        "high": high,
    }


def verdict(row: Figure, wanted: float) -> str:
    """Whether the ratio is at least as large as wanted, in a word."""
    return "reached" if row["ratio"] is not None and row["ratio"] >= wanted else "missed"


def line(row: Figure) -> str:
    """A row as scripts print it."""
    beside = f"{_ratio(row)} of {row['peer']}" if row["peer"] else ""
    goal = f"wanted: {row['goal']}" if row["goal"] else ""
    return (
        f"{row['name']:58} {_number(row['value']):>9} {row['unit']:10} {beside:32} {goal}".strip()
    )


def card_of(device: str) -> str:
    """The name of the GPU; empty for the CPU."""
    if device == "cpu":
        return ""
    import torch

    return torch.cuda.get_device_name(device)


def save(name: str, rows: Sequence[Figure], card: str = "") -> Path:
    """Write the file of a script, and say where. card: the GPU that it ran on."""
    words = ["python", *(str(Path(sys.argv[0]).as_posix()), *sys.argv[1:])]
    content = {"command": shlex.join(words), "machine": {**machine(), "card": card}, "rows": rows}
    FOLDER.mkdir(parents=True, exist_ok=True)
    file = FOLDER / f"{name}{'-cuda' if card else ''}.json"
    file.write_text(json.dumps(content, indent=1) + "\n")
    print(f"written: {file.name}")
    return file


def loaded(cuda: bool) -> list[tuple[dict[str, Any], Figure]]:
    """(the file's content, row) of every figure of CPUs, or of CUDA."""
    files = [f for f in sorted(FOLDER.glob("*.json")) if f.stem.endswith("-cuda") == cuda]
    contents = [json.loads(file.read_text()) for file in files]
    return [(content, row) for content in contents for row in content["rows"]]


def table(section: Section) -> str:
    """The figures of a section in Markdown, and where they come from."""
    rows = [(content, row) for content, row in loaded(cuda=False) if row["section"] == section]
    cuda = {_id(row): row for _, row in loaded(cuda=True) if row["section"] == section}
    known = {_id(row) for _, row in rows}
    alone = [row for name, row in cuda.items() if name not in known]
    if not rows and not alone:
        return "Not measured yet."
    cells = [_cells(row, cuda.get(_id(row))) for _, row in rows]
    cells += [{**_cells(row, row), "msbench": "-", "ratio": "-"} for row in alone]
    shown = tabulate(cells, "keys", "pipe", disable_numparse=True)
    return "\n\n".join([shown, *_sources(section)])


def devices() -> str:
    """Where figures are from, in a sentence or two."""
    machines = {(m["processor"], m["cores"]) for m in (c["machine"] for c, _ in loaded(cuda=False))}
    cards = {content["machine"]["card"] for content, _ in loaded(cuda=True)}
    cpus = "; ".join(f"{processor}, {cores} cores" for processor, cores in sorted(machines))
    where = f"CPU: {cpus}." if cpus else "CPU: not measured yet."
    not_run = "CUDA: not run; there was no GPU at hand. `bash benchmarks/gpu.sh` fills the column."
    return f"{where} " + (f"CUDA: {', '.join(sorted(cards))}." if cards else not_run)


def _id(row: Figure) -> tuple[str, str]:
    """What makes it the same figure on another device."""
    return row["name"], row["peer"]


def _cells(row: Figure, cuda: Figure | None) -> dict[str, str]:
    return {
        "what": row["name"],
        "msbench": f"{_number(row['value'])} {row['unit']}",
        "peer": f"{row['peer']}: {_number(row['peer_value'])}" if row["peer"] else "-",
        "ratio": _ratio(row),
        "goal": row["goal"] or "-",
        "limited by": row["limit"] or "-",
        "CUDA": "-" if cuda is None else f"{_number(cuda['value'])} {cuda['unit']}, {_ratio(cuda)}",
    }


def _ratio(row: Figure) -> str:
    if row["ratio"] is None:
        return "-"
    if row["low"] is None or row["low"] != row["low"]:
        return f"{row['ratio']:.2f}"
    return f"{row['ratio']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"


def _number(value: float | None) -> str:
    if value is None or value != value:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _sources(section: Section) -> list[str]:
    """The commands, for all devices."""
    both = [*loaded(cuda=False), *loaded(cuda=True)]
    commands = dict.fromkeys(c["command"] for c, row in both if row["section"] == section)
    return ["Measured by " + ", ".join(f"`{command}`" for command in commands) + "."]
