"""How pictures look: colours, markers, fonts."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from msbench.errors import printable

INK, GRID, FAINT = "#1b1b1b", "#dedede", "#767676"

DARK = {
    INK: "#f2f2f2",
    GRID: "#3a3d44",
    FAINT: "#9a9a9a",
    "#2382c8": "#03a1db",
    "#f6230a": "#d04f10",
    "#329159": "#6af7a7",
    "#6a66fe": "#8b64fc",
    "#8e3c22": "#d4bb5e",
    "#db3c8e": "#e14586",
    "#2a0e5c": "#b7f51c",
}
"""Every colour on white, and its counterpart on black. A program searched for the ten: each pair
of one theme differs by at least 20 (CIE76), also for eyes without red or green cones."""

PAPER = {"light": "#ffffff", "dark": "#16181c"}

COLOURS = tuple(DARK)[3:]

MARKERS = "osD^vPX"

DASHES: tuple[Any, ...] = (
    "-",
    (0, (6, 2)),
    (0, (2, 1.5)),
    (0, (6, 2, 2, 2)),
    (0, (10, 3)),
    (0, (4, 1, 1, 1, 1, 1)),
    (0, (1, 1)),
)

_STYLE: Any = {
    "font.family": ["DejaVu Sans"],
    "font.size": 11,
    "text.parse_math": False,  # a name with two $ is not a formula
    "text.color": INK,
    "axes.facecolor": "none",  # panels show the paper, which is dark in one theme
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "legend.frameon": False,
    "legend.borderaxespad": 0.1,
    "legend.borderpad": 0.1,
    "legend.labelspacing": 0.25,
    "legend.fontsize": 10.5,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "svg.fonttype": "none",
    "svg.hashsalt": "msbench",
}


@contextmanager
def style() -> Iterator[None]:
    """The context in which figures are made and written."""
    import matplotlib

    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        # A letter that our font lacks is measured as a box; readers see it in their own font.
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        yield


def look(number: int) -> dict[str, Any]:
    """Colour, marker and dashes of the strategy of that number; 0 is the baseline."""
    if number == 0:
        return {"color": INK, "marker": "o", "linestyle": "-"}
    index = (number - 1) % len(COLOURS)
    return {"color": COLOURS[index], "marker": MARKERS[index], "linestyle": DASHES[index]}


def short(name: str, most: int = 24) -> str:
    """A name of at most `most` characters: without control characters, and without its middle."""
    name = printable(name)
    if len(name) <= most:
        return name
    head = (most - 1) * 2 // 3
    return f"{name[:head]}…{name[head + 1 - most :]}"
