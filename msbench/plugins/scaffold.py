"""`msbench new`: a kind of part and a name -> a package of one's own, from templates.

A template is a file of the package in Jinja; in its path, NAME is the part's name and PACKAGE the
package's. Templates are in folders, of which a recipe has several: where two have the same file,
the later one counts.
"""

import ast
import builtins
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from keyword import kwlist, softkwlist
from pathlib import Path
from typing import Any

from msbench.errors import MsbenchError, StoreError, did_you_mean, printable
from msbench.kinds import Kind
from msbench.plugins.registry import Registry

TEMPLATES = Path(__file__).parent / "templates"

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")

LONGEST = 50
"""Characters of a name."""


@dataclass(frozen=True)
class Recipe:
    """What makes a package."""

    kind: Kind
    folders: tuple[str, ...]
    """Of templates, besides the one that all packages share."""
    module: str
    """The file that has the part."""
    idea: str
    """What the part does until it is replaced."""
    needs: tuple[str, ...] = ("torch",)
    """Distributions that its code imports, besides msbench."""


RECIPES: dict[str, dict[str, Recipe]] = {
    "optimizer": {
        "": Recipe("optimizer", ("optimizer",), "optimizer", "an optimizer with a memory: Lion"),
        "two-pass": Recipe(
            "optimizer", ("optimizer", "two-pass"), "optimizer", "two gradients a step: SAM"
        ),
        "averaging": Recipe(
            "optimizer",
            ("optimizer", "averaging"),
            "optimizer",
            "other weights in evaluation than in training: a moving average",
        ),
        "hessian": Recipe(
            "optimizer",
            ("optimizer", "hessian"),
            "optimizer",
            "gradients that are differentiated again: Newton steps along a diagonal",
        ),
    },
    "wrapper": {
        "": Recipe(
            "optimizer",
            ("optimizer", "wrapper"),
            "wrapper",
            "an optimizer around any other: gradient centralization",
        )
    },
    "loss": {"": Recipe("loss", ("loss",), "loss", "a loss for every kind of task: Poly-1")},
    "schedule": {
        "": Recipe("schedule", ("schedule",), "schedule", "a polynomial decay with warm-up", ())
    },
    "model": {
        "": Recipe("model", ("classify", "model"), "model", "a classifier: words with attention"),
        "generating": Recipe(
            "model", ("generating",), "model", "a sequence-to-sequence model that is decoded"
        ),
        "hugging-face": Recipe(
            "model",
            ("generating", "hugging-face"),
            "model",
            "the same from the transformers library: T5",
            ("torch", "transformers>=5.23"),
        ),
    },
    "decoder": {
        "": Recipe("decoder", ("decoder",), "decoder", "greedy decoding that avoids repetitions")
    },
    "task": {"": Recipe("task", ("task",), "task", "a classification task, generated", ())},
    "learner": {
        "": Recipe(
            "learner",
            ("classify", "learner"),
            "learner",
            "another framework with parts of its own: gradients by hand in numpy",
            ("numpy", "safetensors"),
        )
    },
    "launcher": {
        "": Recipe("launcher", ("launcher",), "launcher", "trials in fresh processes", ())
    },
}
"""What can be made, each in its variants; "" is the one that is made if none is asked for."""


def find_recipe(what: str, variant: str = "") -> Recipe:
    """The recipe for that kind of part; MsbenchError names the variants that there are."""
    variants = RECIPES[what]
    if variant not in variants:
        known = [each for each in variants if each]
        raise MsbenchError(f"{what} has no variant {variant!r}{did_you_mean(variant, known)}")
    return variants[variant]


def make_package(recipe: Recipe, name: str, parent: Path, registry: Registry) -> Path:
    """The folder of a new package, complete; MsbenchError, and nothing is written, if the name
    cannot be that of a part, or the folder is there already.

    registry: what is installed, since a name belongs to one plugin.
    """
    check_name(recipe, name, registry)
    folder = parent / distribution(name)
    if folder.exists():
        raise MsbenchError(f"{folder} is there already: choose another name, or another --dir")
    try:
        for place, text in render(recipe, name).items():
            path = folder / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StoreError(f"cannot write {folder}: {error.strerror or error}") from error
    return folder


def check_name(recipe: Recipe, name: str, registry: Registry) -> None:
    """MsbenchError with what to do if this cannot be the name of a new part."""
    shown = printable(name[: 2 * LONGEST])
    if not NAME.fullmatch(name) or len(name) > LONGEST:
        raise MsbenchError(
            f"{shown!r} cannot be the name of a part: lower-case words of letters and digits with "
            f"hyphens between, such as 'my-{recipe.kind}', at most {LONGEST} characters"
        )
    if entry := registry.entries.get((recipe.kind, name)):
        raise MsbenchError(
            f"{recipe.kind} {name!r} is that of plugin {entry.plugin}, and a name belongs to one "
            f"plugin: choose another, such as 'my-{name}'"
        )
    if find_spec(package(name)) is not None:
        raise MsbenchError(f"a package {package(name)!r} is installed already: choose another name")
    words = words_for(name)
    if taken := {words["function"], words["classname"]} & _taken(recipe):
        raise MsbenchError(
            f"{min(taken)!r} means something else in Python, or in the new code: choose another "
            f"name, such as 'my-{name}'"
        )


def render(recipe: Recipe, name: str) -> dict[str, str]:
    """The files of the package: path in its folder -> text."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=False,  # noqa: S701 - code for people, not pages for browsers
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    words = words_for(name) | {
        "kind": recipe.kind,
        "article": "An" if recipe.kind[0] in "aeio" else "A",
        "module": recipe.module,
        "needs": recipe.needs,
        "target": f"{recipe.kind}:{name}",
    }
    return {
        _place(path, words): environment.get_template(template).render(words)
        for path, template in _templates(recipe).items()
    }


def distribution(name: str) -> str:
    """What the package of a part is called for pip."""
    return f"msbench-{name}"


def package(name: str) -> str:
    """What it is called for Python."""
    return distribution(name).replace("-", "_")


def words_for(name: str) -> dict[str, Any]:
    """What templates call things after the part."""
    return {
        "name": name,
        "distribution": distribution(name),
        "package": package(name),
        "function": name.replace("-", "_"),
        "classname": "".join(word.capitalize() for word in name.split("-")),
    }


def _templates(recipe: Recipe) -> dict[str, str]:
    """Path in the package, with its placeholders -> template."""
    return {
        str(path.relative_to(TEMPLATES / folder)): path.relative_to(TEMPLATES).as_posix()
        for folder in ("package", *recipe.folders)
        for path in sorted((TEMPLATES / folder).rglob("*.jinja"))
    }


def _place(path: str, words: Mapping[str, str]) -> str:
    path = path.removesuffix(".jinja").replace("PACKAGE", words["package"])
    return path.replace("NAME", words["name"])


def _taken(recipe: Recipe) -> set[str]:
    """What a function or a class in the new code cannot be called."""
    texts = render(recipe, EXAMPLE)
    code = [text for path, text in texts.items() if path.endswith(".py")]
    own = {str(word) for word in words_for(EXAMPLE).values()}
    used = {each for text in code for each in _identifiers(ast.parse(text))} - own
    return used | {*kwlist, *softkwlist, *dir(builtins)}


EXAMPLE = "some-part"


def _identifiers(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.alias):
            yield node.asname or node.name
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
