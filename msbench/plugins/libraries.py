"""Import names -> versions of the distributions that they come from."""

import re
import sys
from functools import cache
from importlib.machinery import ModuleSpec
from importlib.metadata import (
    Distribution,
    PackageNotFoundError,
    distribution,
    packages_distributions,
)
from importlib.util import find_spec
from pathlib import Path

from msbench.cache import recall, remember

FACTS = "distributions"


@cache
def distribution_of(name: str) -> Distribution | None:
    """The distribution that a top-level module comes from; None if it comes from none."""
    try:
        return distribution(name)  # nearly always they are called the same
    except PackageNotFoundError:
        pass
    known = recall(FACTS).get(name)
    if known is None and not _spec(name):
        return None
    if known is None:
        found = packages_distributions().get(
            name, []
        )  # reads the lists of all files: half a second
        known = found[0] if found else ""
        remember(FACTS, {name: known})
    try:
        return distribution(known) if known else None
    except PackageNotFoundError:
        return None


@cache
def library_version(name: str) -> str:
    """The version of what a top-level module comes from; "" if that is not installed."""
    return _header(distribution_of(name), "Version")


def distribution_name(name: str) -> str:
    """The name of what a top-level module comes from; "" if it comes from no distribution."""
    return _header(distribution_of(name), "Name")


def _header(found: Distribution | None, field: str) -> str:
    """A field of a distribution's metadata, without parsing the page of text that follows it."""
    text = found and (found.read_text("METADATA") or found.read_text("PKG-INFO"))
    match = re.search(rf"^{field}: *(\S+)", text or "", re.MULTILINE)
    return match[1] if match else ""


def package_files(name: str) -> dict[str, Path]:
    """The files of a top-level module or package by a name that is the same on every machine."""
    spec = _spec(name)
    if spec is None:
        return {}
    files = {
        f"{name}/{path.relative_to(folder).as_posix()}": path
        for folder in map(Path, spec.submodule_search_locations or ())
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    if not files and spec.origin and Path(spec.origin).is_file():
        files = {name: Path(spec.origin)}
    return files


def _spec(name: str) -> ModuleSpec | None:
    """Where a top-level module is; none of its code is run to find that out."""
    try:
        return find_spec(name)
    except (ImportError, ValueError):
        return None


def is_standard(name: str) -> bool:
    """Whether a top-level module comes with Python."""
    return name in sys.stdlib_module_names or name == "__main__"
