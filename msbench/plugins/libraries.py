"""Import names -> versions of the distributions that they come from."""

import re
import sys
from collections.abc import Mapping
from contextlib import suppress
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
def distributions_of(name: str) -> Mapping[str, str]:
    """The distributions that a top-level module comes from, with their versions.

    None if it comes from a file of nobody's, several if it is a namespace that they share.
    """
    with suppress(PackageNotFoundError):  # nearly always they are called the same
        return dict([_facts(distribution(name))])
    spec = _spec(name)
    if spec is None:
        return {}
    fact = f"{name} {_state(spec)}"
    known = recall(FACTS).get(fact)
    if known is None:
        # This reads the lists of all files: half a second.
        known = sorted(set(packages_distributions().get(name, [])))
        remember(FACTS, {fact: known})
    found: dict[str, str] = {}
    for each in known:
        with suppress(PackageNotFoundError):
            found |= dict([_facts(distribution(each))])
    return found


def library_version(name: str) -> str:
    """The version of what a top-level module comes from; "" if that is not installed."""
    found = distributions_of(name)
    return ", ".join(found.values() if len(found) == 1 else map(" ".join, sorted(found.items())))


def _state(spec: ModuleSpec) -> str:
    """Where a module is, and when something was last installed beside it."""
    places = [*(spec.submodule_search_locations or ()), spec.origin or ""]
    folders = {Path(place).parent for place in places if place}
    times = [folder.stat().st_mtime_ns for folder in sorted(folders) if folder.is_dir()]
    return f"{sorted(map(str, folders))} {times}"


def _facts(found: Distribution) -> tuple[str, str]:
    """Name and version, without parsing the page of text that follows them in the metadata."""
    text = found.read_text("METADATA") or found.read_text("PKG-INFO") or ""
    name, version = (
        match[1] if (match := re.search(rf"^{field}: *(\S+)", text, re.MULTILINE)) else ""
        for field in ("Name", "Version")
    )
    return name, version


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
