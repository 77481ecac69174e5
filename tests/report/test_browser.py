"""The page in a real headless Chromium: quiet, inert, fitting a phone. Needs `make browser`."""

import json
import os
import re
import shutil
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hostile import HOSTILE, hostile_records

from msbench.cli.app import main
from msbench.errors import printable

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium (make browser)")

REFERENCE = Path(__file__).parents[2] / "tests/kept"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A headless Chromium; root may not have its sandbox."""
    with playwright.sync_playwright() as started:
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = started.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        yield browser
        browser.close()


def page_of(folder: Path, records: list[dict[str, Any]]) -> Path:
    """The path of the page that the command makes of records."""
    path, out = folder / "trials.jsonl", folder / "report.html"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    command = ["report", str(path), "--baseline", "adamw", "-o", str(out)]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    return out


def open_page(chromium: Any, path: Path, width: int = 1280, scheme: str = "light") -> Any:
    """The page in a window; whatever it does besides being shown is an error."""
    window = {"width": width, "height": 900}
    context = chromium.new_context(viewport=window, color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(60_000)
    events: list[str] = []
    page.on("console", lambda message: events.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: events.append(f"error: {error}"))
    page.on("dialog", lambda box: (events.append(f"dialog: {box.message}"), box.dismiss()))
    page.on("popup", lambda popup: events.append(f"popup: {popup.url}"))
    page.on("request", lambda request: events.append(request.url))
    page.goto(path.as_uri())
    page.mouse.move(300, 300)
    page.wait_for_timeout(200)
    assert events == [path.as_uri()]
    return page


COUNTS = "[...document.querySelectorAll('*')].map(e => e.tagName)"
ATTRIBUTES = "[...document.querySelectorAll('*')].flatMap(e => e.getAttributeNames())"


def test_hostile_names_stay_text(chromium: Any, tmp_path: Path) -> None:
    """The page has the same elements as that of tame names, and shows every name."""
    assert len(HOSTILE) == 25
    tame = [f"{number:02}".ljust(len(name), "x") for number, name in enumerate(HOSTILE)]
    pages = []
    for folder, names in (("hostile", HOSTILE), ("tame", tame)):
        (tmp_path / folder).mkdir()
        path = page_of(tmp_path / folder, hostile_records(names))
        pages.append(open_page(chromium, path))
        # No element was missing an end, moved or mended by the parser.
        source = re.sub(r"<style>.*?</style>", "<style>", path.read_text(), flags=re.DOTALL)
        assert len(re.findall(r"<[a-zA-Z]", source)) == len(pages[-1].evaluate(COUNTS))
    hostile, other = (Counter(page.evaluate(COUNTS)) for page in pages)
    assert hostile == other
    assert hostile["SCRIPT"] == hostile["IMG"] == hostile["IFRAME"] == 0
    attributes = set(pages[0].evaluate(ATTRIBUTES))
    assert attributes == set(pages[1].evaluate(ATTRIBUTES))
    assert not any(name.startswith("on") for name in attributes)
    text = pages[0].evaluate("document.body.textContent")
    for name in HOSTILE:
        assert printable(name.replace("\n", " ")) in text
    assert all(unicodedata.category(c) not in ("Cf", "Cs") for c in text)
    assert "49" not in pages[0].evaluate(
        "[...document.querySelectorAll('td')].map(e => e.textContent)"
    )


@pytest.fixture(scope="module", params=["optimizers", "quick", "hostile"])
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "hostile":
        return page_of(folder, hostile_records(HOSTILE))
    out = folder / "report.html"
    result = CliRunner().invoke(main, ["report", str(REFERENCE / request.param), "-o", str(out)])
    assert result.exit_code == 0, result.output
    return out


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_and_can_be_read(chromium: Any, path: Path, scheme: str) -> None:
    """On a phone and a desk nothing is wider than the window; every text has a contrast of 4.5 to
    its ground (WCAG AA), which is the paper for all of them."""
    for width in (390, 1280):
        page = open_page(chromium, path, width, scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        shot = page.screenshot(full_page=True)
        if folder := os.environ.get("MSBENCH_SHOTS"):
            (Path(folder) / f"{path.parent.name}-{width}-{scheme}.png").write_bytes(shot)
    paper, *inks = page.evaluate(
        """[getComputedStyle(document.body).backgroundColor, ...new Set(
        [...document.querySelectorAll('p,li,td,th,h1,h2,h3,caption,figcaption,code')].map(
        e => getComputedStyle(e).color)), ...new Set(
        [...document.querySelectorAll('svg text')].map(e => getComputedStyle(e).fill))]"""
    )
    assert (paper == "rgb(22, 24, 28)") == (scheme == "dark")
    assert len(set(inks)) >= 2
    assert all(contrast(paper, ink) >= 4.5 for ink in inks)


def test_printed_on_paper(chromium: Any, path: Path) -> None:
    page = open_page(chromium, path, scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.querySelector('.scroll')).overflowX") == (
        "visible"
    )
    assert page.pdf(format="A4")[:5] == b"%PDF-"


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    channels = [int(c) / 255 for c in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
