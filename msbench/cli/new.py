"""`msbench new`."""

import shlex
from pathlib import Path

import click

from msbench.cli.inputs import load_registry
from msbench.cli.options import Named, Place
from msbench.cli.output import echo
from msbench.plugins.scaffold import RECIPES, find_recipe, make_package

VARIANTS = "; ".join(
    f"{what}: {', '.join(filter(None, variants))}"
    for what, variants in RECIPES.items()
    if len(variants) > 1
)


@click.command("new")
@click.argument("kind", metavar="KIND", type=Named(list(RECIPES)))
@click.argument("name", metavar="NAME")
@click.option("--variant", default="", metavar="VARIANT", help=f"Another form of it ({VARIANTS}).")
@click.option(
    "--dir",
    "parent",
    type=Place(),
    default=Path(),
    metavar="DIR",
    help="Make the package's folder there.  [default: here]",
)
def command(kind: str, name: str, variant: str, parent: Path) -> None:
    """Begin a plugin: a package with its test and a tiny suite.

    It is to be changed into your own: what stands where is in the README.md of the new folder.

    KIND: optimizer, wrapper (an optimizer around another), loss, schedule, model, decoder, task,
    learner or launcher. NAME: what suites call it, such as my-optimizer.
    """
    recipe = find_recipe(kind, variant)
    folder = make_package(recipe, name, parent, load_registry([]))
    echo(f"{folder} has {recipe.kind} {name!r}. Next:")
    for line in (
        shlex.join(["cd", str(folder)]),
        "pip install -e .",
        "python -m pytest",
        f"msbench run {name}.toml",
        f"msbench compare {name} --table accuracy",
    ):
        echo(f"  {line}")
