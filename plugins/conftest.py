"""Tests of packages in plugins/ need these packages: of one that is not installed whole, its tests
are left out, and a sentence at the end says so."""

import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

FOLDER = Path(__file__).parent


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """True for a package of which something is missing; None: others may decide."""
    return True if missing(collection_path) else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was left out, and how to have it."""
    for package in sorted(FOLDER.iterdir()):
        if lacking := missing(package):
            terminalreporter.write_line(
                f"plugins/{package.name} is not tested: {lacking} is not installed; "
                "`make test-plugins` installs all plugins together and tests them"
            )


def missing(package: Path) -> str:
    """The first requirement of a package in this folder that is not installed, or the package
    itself; "" if there is none, or if it is no package."""
    file = package / "pyproject.toml"
    if package.parent != FOLDER or not file.is_file():
        return ""
    project = tomllib.loads(file.read_text())["project"]
    wanted = map(Requirement, [*project["dependencies"], project["name"]])
    return next((str(each) for each in wanted if not is_installed(each)), "")


def is_installed(requirement: Requirement) -> bool:
    """Whether it is installed, in a version that will do."""
    if requirement.marker is not None and not requirement.marker.evaluate():
        return True
    try:
        return requirement.specifier.contains(version(requirement.name), prereleases=True)
    except PackageNotFoundError:
        return False
