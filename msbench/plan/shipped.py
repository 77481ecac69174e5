"""The suites that come with msbench. Listing them must not wait for what checks them."""

import tomllib
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "suites"
if not FOLDER.is_dir():  # a source checkout; the wheel carries the folder inside the package
    FOLDER = Path(__file__).parents[2] / "suites"


def shipped_suites() -> dict[str, Path]:
    """Their files, by name."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.toml"))}


def described(path: Path) -> str:
    """What the suite says of itself."""
    return str(tomllib.loads(path.read_text(encoding="utf-8")).get("description", ""))
