"""Packages that `msbench new` made, as if pip had installed them: a test installs nothing."""

import tomllib
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from msbench.cache import remember
from msbench.cli import inputs
from msbench.plugins.code import code_of
from msbench.plugins.first_load import FACTS
from msbench.plugins.loading import load_plugins
from msbench.plugins.scaffold import RECIPES, make_package


def every_recipe() -> list[tuple[str, str]]:
    """Kinds and variants."""
    return [(what, variant) for what, variants in RECIPES.items() for variant in variants]


def runnable() -> list[tuple[str, str]]:
    """Those whose package can be imported with what is installed here."""
    return [(w, v) for w, v in every_recipe() if all(map(is_there, RECIPES[w][v].needs))]


def is_there(requirement: str) -> bool:
    return find_spec(requirement.partition(">")[0]) is not None


def name_of(what: str, variant: str) -> str:
    return "-".join(filter(None, ("some", variant, what)))


def make_all(parent: Path) -> dict[str, Path]:
    """A package of every recipe that can be run, by the name of its part: folders for the path."""
    registry = load_plugins()
    made = {}
    for what, variant in runnable():
        name = name_of(what, variant)
        made[name] = make_package(RECIPES[what][variant], name, parent, registry)
        install(made[name])
    return made


def install(folder: Path) -> None:
    """Write what `pip install -e` would write elsewhere, so that the folder on the path will do."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    name, version = project["name"].replace("-", "_"), project["version"]
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {version}\n"
    )
    points = project["entry-points"]["msbench"]
    lines = [f"{point} = {value}" for point, value in points.items()]
    (info / "entry_points.txt").write_text("\n".join(["[msbench]", *lines, ""]))
    (info / "top_level.txt").write_text(f"{name}\n")


def remember_first_loads(folders: Iterable[Path]) -> None:
    """That these packages, which are on the path, can be loaded: a process for each of them would
    find that out, and tests of that are elsewhere."""
    packages = [folder.name.replace("-", "_") for folder in folders]
    remember(FACTS, {f"{each} {code_of([each]).digest}": "" for each in packages})


def forget_installed() -> None:
    """Commands that this process calls look again for what is installed, as programs do."""
    inputs._allowed.cache_clear()
