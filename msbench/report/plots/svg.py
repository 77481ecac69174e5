"""A figure as SVG, PNG or PDF: small, inert, the same bytes each time."""

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from msbench.errors import printable
from msbench.report.plots.style import COLOURS, DARK, PAPER, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif"
"""What text is shown in; it is measured in a wider one that matplotlib brings."""

_SVG, _LINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"


@dataclass(frozen=True)
class Picture:
    """A figure, and what it shows in words and numbers."""

    name: str
    """Unique on a page: letters, digits and hyphens."""
    title: str
    alt: str
    figure: "Figure"

    def _repr_svg_(self) -> str:
        """What a notebook shows."""
        return svg(self, "light")


def png(picture: Picture, theme: str = "light") -> bytes:
    """The picture in dots, 200 an inch."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    about = {"Title": picture.title, "Description": picture.alt, "Software": "msbench"}
    return _saved(picture, theme, FigureCanvasAgg, "png", about)


def pdf(picture: Picture, theme: str = "light") -> bytes:
    """The picture as one page, in vectors and with its letters as text."""
    from matplotlib.backends.backend_pdf import FigureCanvasPdf

    about = {"Title": picture.title, "Subject": picture.alt, "Creator": "msbench"}
    return _saved(picture, theme, FigureCanvasPdf, "pdf", about)


def _saved(
    picture: Picture, theme: str, canvas: Any, format: str, about: Mapping[str, str]
) -> bytes:
    import matplotlib

    _repaint(picture.figure, theme)
    undated = {"CreationDate": None} if format == "pdf" else {}
    out = io.BytesIO()
    with style(), matplotlib.rc_context({"pdf.fonttype": 42}):  # fonts that journals take
        canvas(picture.figure)
        picture.figure.savefig(
            out,
            format=format,
            dpi=200,
            facecolor=PAPER[theme],
            metadata={**_printed(about), **undated},
        )
    return out.getvalue()


def _repaint(figure: "Figure", theme: str) -> None:
    if theme == "light":
        return
    from matplotlib.colors import to_hex

    for part in figure.findobj():
        for what in ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor"):
            get, put = getattr(part, f"get_{what}", None), getattr(part, f"set_{what}", None)
            if get is None or put is None or not isinstance(value := get(), (str, tuple)):
                continue
            if (dark := DARK.get(to_hex(value))) and to_hex(value, True)[-2:] != "00":
                put(dark)


def svg(picture: Picture, theme: str = "") -> str:
    """The picture as an SVG element, with its title and description.

    theme: light or dark, for a file of its own; without it colours are CSS variables (`--ink` and
    so on, as `variables` names them), for a page that defines them.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    out = io.StringIO()
    with style():
        FigureCanvasSVG(picture.figure)
        picture.figure.savefig(
            out, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
        )
    root = ElementTree.fromstring(out.getvalue())  # noqa: S314  what matplotlib has just written
    paints = {"": variables(), "light": {}, "dark": DARK}[theme]
    _slim(root, picture.name, paints)
    _name(root, picture)
    if theme:
        box = root.attrib["viewBox"].split()[2:]
        paper = {"width": "100%", "height": "100%", "fill": PAPER[theme]}
        root.insert(2, ElementTree.Element(f"{_SVG}rect", paper))
        root.attrib |= {"width": box[0], "height": box[1]}
    root.set("font-family", FONT)
    root.set("stroke-linejoin", "round")
    ElementTree.register_namespace("", _SVG[1:-1])
    return ElementTree.tostring(root, encoding="unicode")


def variables() -> Mapping[str, str]:
    """The CSS variable of every colour."""
    names = ("ink", "grid", "faint", *(f"series-{n}" for n in range(1, len(COLOURS) + 1)))
    return {colour: f"var(--{name})" for colour, name in zip(DARK, names, strict=True)}


def _name(root: ElementTree.Element, picture: Picture) -> None:
    """Title and description, which a screen reader reads and a mouse shows."""
    for number, (tag, text) in enumerate((("title", picture.title), ("desc", picture.alt))):
        element = ElementTree.Element(f"{_SVG}{tag}", {"id": f"{picture.name}-{tag}"})
        element.text = printable(text)
        root.insert(number, element)
    root.attrib |= {
        "role": "img",
        "aria-labelledby": f"{picture.name}-title",
        "aria-describedby": f"{picture.name}-desc",
    }
    root.attrib.pop("width")
    root.attrib.pop("height")


def _slim(root: ElementTree.Element, name: str, paints: Mapping[str, str]) -> None:
    """Without what is not needed, two decimals, ids unique on a page, colours replaced."""
    for parent in list(root.iter()):
        for child in list(parent):
            empty = child.tag == f"{_SVG}defs" and not len(child)
            if child.tag in (f"{_SVG}metadata", f"{_SVG}style") or empty:
                parent.remove(child)
    used = set()
    for element in root.iter():
        used |= {v[1:] for k, v in element.attrib.items() if k == _LINK}
        used |= set(re.findall(r"url\(#([^)]+)\)", " ".join(element.attrib.values())))
    for element in root.iter():
        if (own := element.attrib.pop("id", None)) in used:
            element.set("id", f"{name}-{own}")
        if link := element.attrib.pop(_LINK, None):
            element.set("href", f"#{name}-{link[1:]}")
        for key in ("d", "transform", "x", "y", "width", "height"):
            if key in element.attrib:
                element.set(key, re.sub(r"-?\d+\.\d+", _rounded, element.attrib[key]))
        if "clip-path" in element.attrib:
            element.set("clip-path", element.attrib["clip-path"].replace("#", f"#{name}-"))
        if "style" in element.attrib:
            element.set("style", _restyled(element.attrib["style"], paints))


def _rounded(found: re.Match[str]) -> str:
    return f"{float(found[0]):.2f}".rstrip("0").rstrip(".")


def _restyled(css: str, paints: Mapping[str, str]) -> str:
    css = re.sub(r"font: ([\d.]+px)[^;]*", r"font-size: \1", css)  # the family is the root's
    return re.sub(r"#[0-9a-f]{6}", lambda found: paints.get(found[0], found[0]), css)


def _printed(about: Mapping[str, str]) -> dict[str, str]:
    return {key: printable(value) for key, value in about.items()}
