"""`msbench info`."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from msbench.cli.options import load_registry, plugin_option
from msbench.errors import MsbenchError, printable
from msbench.spec import Choice

if TYPE_CHECKING:
    from msbench.plugins.registry import Entry, Registry


WRAPPED = "adamw"
"""The base over which wrappers are measured."""


@click.command()
@click.argument("part", metavar="KIND:NAME")
@plugin_option
def info(part: str, plugins: tuple[str, ...]) -> None:
    """Explain one part: idea, source, when it helps, what it costs, options, data and licence."""
    from msbench.plugins.registry import kind_of

    kind, colon, name = part.partition(":")
    if not colon or not name:
        raise MsbenchError(f"{part!r} is not KIND:NAME, such as optimizer:adamw")
    registry = load_registry(plugins)
    for line in _info_lines(registry, registry.find(kind_of(kind), name)):
        click.echo(printable(line))


def _info_lines(registry: "Registry", entry: "Entry") -> Iterator[str]:
    import inspect

    facts = {
        "plugin": f"{entry.plugin} {entry.version}",
        "idea": entry.idea,
        "paper": entry.paper,
        "helps": entry.helps,
        "multi-step": entry.steps and f"by {entry.steps}",
        "base": _base_of(entry),
        "passes a step": f"{entry.passes:g}" if entry.kind == "optimizer" else "",
        "state": _state(registry, entry) if entry.kind == "optimizer" else "",
        "fits": ", ".join(entry.fits),
    }
    yield f"{entry.kind} {entry.name}"
    yield from (f"  {name}: {value}" for name, value in facts.items() if value)
    for source in entry.sources:
        yield f"  data: {source.package} {source.version}: {source.origin}"
        yield f"  licence: {source.licence}"
    if entry.kind == "command":
        return
    if doc := inspect.getdoc(entry.load()):
        yield ""
        yield from (f"  {line}".rstrip() for line in doc.splitlines())
    yield ""
    yield "  options:"
    for name, parameter in entry.options().items():
        required = parameter.default is inspect.Parameter.empty
        space = (entry.space or {}).get(name)
        told = "required" if required else f"default {parameter.default!r}"
        yield f"    {name}: {told}" + (f", searched over {tuple(space)}" if space else "")
    if entry.kind == "optimizer" and "base" in entry.options():
        yield "  With [tuning], what its base's space names is searched, too."


def _base_of(entry: "Entry") -> str:
    if not entry.steps:
        return ""
    return "the optimizer that it wraps" if "base" in _names(entry) else entry.base


def _names(entry: "Entry") -> Iterable[str]:
    return entry.options() if entry.kind != "command" else ()


def _state(registry: "Registry", entry: "Entry") -> str:
    """What an optimizer keeps from step to step, measured; or why that cannot be."""
    measure = getattr(registry.find("learner", entry.learner).load(), "state_bytes", None)
    if measure is None:
        return f"not measured: the learner {entry.learner} cannot"
    wraps = "base" in _names(entry)
    inner = Choice(WRAPPED)
    options = {"base": inner} if wraps else {}
    try:
        part = registry.resolve("optimizer", Choice(entry.name, options))
        size = measure(registry.build("optimizer", part))
        own = measure(registry.build("optimizer", registry.resolve("optimizer", inner)))
    except Exception as error:  # a plugin's step may fail in any way
        return f"not measured: {type(error).__name__}: {error}"
    told = f"{size:.3g} bytes a weight of float32, measured on a small model"
    return f"{told} over {WRAPPED}, which alone keeps {own:.3g}" if wraps else told
