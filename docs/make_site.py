"""All documents as one searchable site: `make site`, then open build/site/index.html.

The pages are copied as they lie in the repository, so that their links hold here as there. After
the build every link and anchor is followed, and nothing may come from elsewhere: no font, script
or picture.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).parent.parent
BUILD = ROOT / "build"
PAGES = ("README.md", "CHANGELOG.md", "SECURITY.md", "docs/**/*.md", "plugins/*/README.md")
GENERATORS = re.compile(r"<!-- \[\[\[cog.*?\]\]\] -->\n|<!-- \[\[\[end\]\]\] -->\n?", re.DOTALL)
NESTED = re.compile(r"^ {2}(?=- )", re.MULTILINE)
"""How lists in lists are indented here; the generator wants four spaces."""

LINKS = {"a": "href", "link": "href", "img": "src", "script": "src", "source": "srcset"}
LOADED = {"link", "img", "script", "source"}
"""Elements that a browser fetches by itself."""

NO_ASSETS = {"canonical", "next", "prev", "alternate", "edit"}
"""What a <link> may name that a browser does not fetch."""


def main() -> int:
    """Build and check; the number of problems is the exit code, 100 at most."""
    copy_pages()
    config = shutil.copy(ROOT / "docs/site.toml", BUILD / "zensical.toml")
    shutil.rmtree(BUILD / "site", ignore_errors=True)
    command = ["zensical", "build", "--clean", "--strict", "--config-file", str(config)]
    subprocess.run([str(Path(sys.executable).with_name(command[0])), *command[1:]], check=True)
    problems = [*unlisted(), *broken(BUILD / "site")]
    print("\n".join(problems) or f"every link leads somewhere: {BUILD / 'site/index.html'}")
    return min(len(problems), 100)


def copy_pages() -> None:
    """Into build/pages, without the code that generates parts of them."""
    pages = BUILD / "pages"
    shutil.rmtree(pages, ignore_errors=True)
    for file in (file for pattern in PAGES for file in ROOT.glob(pattern)):
        copy = pages / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(NESTED.sub("    ", GENERATORS.sub("", file.read_text())))
    shutil.copytree(ROOT / "docs/pictures", pages / "docs/pictures")


def unlisted() -> Iterator[str]:
    """Documents that the navigation lacks."""
    listed = (ROOT / "docs/site.toml").read_text()
    for file in sorted((BUILD / "pages").rglob("*.md")):
        name = file.relative_to(BUILD / "pages").as_posix()
        if f'"{name}"' not in listed:
            yield f"docs/site.toml does not list {name}"


class Page(HTMLParser):
    """The anchors and links of a page."""

    def __init__(self, file: Path):
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[tuple[str, str, bool]] = []
        """(tag, target, whether a browser fetches it)"""
        self.feed(file.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep what it names, and where it leads."""
        told = dict(attrs)
        self.anchors |= {value for name in ("id", "name") if (value := told.get(name))}
        if target := told.get(LINKS.get(tag, "")):
            fetched = tag in LOADED and not NO_ASSETS & set((told.get("rel") or "").split())
            self.links.append((tag, target, fetched))


def broken(site: Path) -> Iterator[str]:
    """Links that lead nowhere, and what would be fetched from elsewhere."""
    pages = {file.resolve(): Page(file) for file in sorted(site.rglob("*.html"))}
    for file, page in pages.items():
        for tag, target, fetched in page.links:
            if problem := _problem(file, target, fetched, pages):
                yield f"{file.relative_to(site.resolve())}: <{tag}> {target}: {problem}"
    for file in sorted(site.rglob("*.css")):
        for target in re.findall(
            r"(?:url\(|@import )[\"']?(?:https?:)?//[^\"')]+", file.read_text()
        ):
            yield f"{file.relative_to(site)}: {target}: is fetched from elsewhere"


def _problem(file: Path, target: str, fetched: bool, pages: dict[Path, Page]) -> str:
    parts = urlsplit(target)
    if parts.scheme == "data" or file.name == "404.html":
        return ""  # the page of errors is served from anywhere: its links begin at the root
    if parts.scheme or parts.netloc:
        return "is fetched from elsewhere" if fetched else ""
    there = (file.parent / unquote(parts.path)).resolve() if parts.path else file
    there = there / "index.html" if there.is_dir() else there
    if not there.is_file():
        return "there is no such file"
    anchor = unquote(parts.fragment)
    if anchor and there in pages and anchor not in pages[there].anchors:
        return "there is no such heading"
    return ""


if __name__ == "__main__":
    sys.exit(main())
