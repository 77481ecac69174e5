"""Import names -> versions of the distributions that they come from."""

import hashlib
import re
import sys
from collections.abc import Mapping, Sequence
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

INSTALLED = {".dist-info", ".egg-info", ".egg"}
"""How names end that say that a package is installed beside them."""

Folders = tuple[tuple[str, int], ...]
"""Paths, and when something in them was changed last."""


@cache
def distributions_of(name: str) -> Mapping[str, str]:
    """The distributions that a top-level module comes from, with their versions.

    There is none of a loose file, of Python's own modules and of those within msbench, and several
    of a namespace that they share.
    """
    if is_standard(name) or name.startswith("msbench."):
        return {}
    with suppress(PackageNotFoundError):  # nearly always they are called the same
        return dict([_facts(distribution(name))])
    if _spec(name) is None:
        return {}
    found: dict[str, str] = {}
    for each in _providers(folders()).get(name, ()):
        with suppress(PackageNotFoundError):
            found |= dict([_facts(distribution(each))])
    return found


def library_version(name: str) -> str:
    """The version of what a top-level module comes from; "" if that is not installed."""
    found = distributions_of(name)
    return ", ".join(found.values() if len(found) == 1 else map(" ".join, sorted(found.items())))


def folders() -> Folders:
    """Where packages are installed, and when something was there last.

    Other folders, such as the one that msbench runs in, change all the time, which means nothing.
    """
    return tuple((path, changed) for path in sys.path if (changed := _changed(path)))


def _changed(path: str) -> int:
    """When a folder, or an archive of packages, was changed last; 0 if none is installed there."""
    place = Path(path or ".")
    with suppress(OSError, ValueError):
        if place.is_file() or any(each.suffix in INSTALLED for each in place.iterdir()):
            return place.stat().st_mtime_ns
    return 0


@cache
def _providers(state: Folders) -> Mapping[str, Sequence[str]]:
    """All top-level modules in folders, with the distributions that they come from."""
    fact = hashlib.sha256(repr(state).encode()).hexdigest()[:20]
    known: Mapping[str, Sequence[str]] | None = recall(FACTS).get(fact)
    if known is None:  # this reads the lists of all files: half a second
        known = {name: sorted(set(found)) for name, found in packages_distributions().items()}
        remember(FACTS, {fact: known})
    return known


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
