"""`msbench info`."""

import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from msbench.cli.inputs import load_registry
from msbench.cli.options import plugin_option
from msbench.cli.output import echo_wrapped
from msbench.errors import MsbenchError
from msbench.kinds import kind_of

if TYPE_CHECKING:
    from msbench.plugins.registry import Entry, Registry

WRAPPED = "adamw"
"""The base over which the state of wrappers is measured."""


@click.command("info")
@click.argument("part", metavar="KIND:NAME")
@plugin_option
def command(part: str, plugins: tuple[str, ...]) -> None:
    """Explain one part: idea, costs, options, data and licence.

    KIND:NAME: such as optimizer:adamw; `msbench list` has them all.
    """
    kind, colon, name = part.partition(":")
    if not colon or not name:
        raise MsbenchError(f"{part!r} is not KIND:NAME, such as optimizer:adamw")
    registry = load_registry(plugins)
    entry = registry.find(kind_of(kind), name)
    for line in (*_facts(registry, entry), *_options(entry)):
        echo_wrapped(line)


def _facts(registry: "Registry", entry: "Entry") -> Iterator[str]:
    """What the plugin registered, and what is measured."""
    is_optimizer = entry.kind == "optimizer"
    facts = {
        "plugin": f"{entry.plugin} {entry.version}",
        "idea": entry.idea,
        "paper": entry.paper,
        "helps": entry.helps,
        "multi-step": entry.steps and f"by {entry.steps}",
        "base": entry.steps and ("the optimizer that it wraps" if _wraps(entry) else entry.base),
        "passes a step": f"{entry.passes:g}" if is_optimizer else "",
        "state": _state(registry, entry) if is_optimizer else "",
        "fits": ", ".join(entry.fits),
    }
    yield f"{entry.kind} {entry.name}"
    yield from (f"  {name}: {value}" for name, value in facts.items() if value)
    for source in entry.sources:
        yield f"  data: {source.package} {source.version}: {source.origin}"
        yield f"  licence: {source.licence}"


def _options(entry: "Entry") -> Iterator[str]:
    """The factory's docstring and parameters; of a command `--help` has them."""
    if entry.kind == "command":
        return
    if doc := inspect.getdoc(entry.load()):
        yield ""
        yield from (f"  {line}".rstrip() for line in doc.splitlines())
    yield ""
    yield "  options:"
    for name, parameter in entry.options().items():
        required = parameter.default is inspect.Parameter.empty
        default = "required" if required else f"default {parameter.default!r}"
        space = (entry.space or {}).get(name)
        yield f"    {name}: {default}" + (f", searched over {tuple(space)}" if space else "")
    if entry.kind == "optimizer" and _wraps(entry):
        yield "  With [tuning], the options that its base declares a space for are searched, too."


def _wraps(entry: "Entry") -> bool:
    """Whether it is built over another part of its kind."""
    return entry.kind != "command" and "base" in entry.options()


def _state(registry: "Registry", entry: "Entry") -> str:
    """What an optimizer keeps from step to step, measured; or why that cannot be done."""
    from msbench.spec import Choice

    measure = getattr(registry.find("learner", entry.learner).load(), "state_bytes", None)
    if measure is None:
        return f"not measured: the learner {entry.learner} cannot"
    wraps, inner = _wraps(entry), Choice(WRAPPED)
    try:
        size, alone = (
            measure(registry.build("optimizer", registry.resolve("optimizer", choice)))
            for choice in (Choice(entry.name, {"base": inner} if wraps else {}), inner)
        )
    except Exception as error:  # a plugin's step may fail in any way
        return f"not measured: {type(error).__name__}: {error}"
    state = f"{size:.3g} bytes a weight of float32, measured on a small model"
    return f"{state} over {WRAPPED}, which alone keeps {alone:.3g}" if wraps else state
