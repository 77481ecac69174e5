"""A fresh interpreter that checks what it is asked to: one process for each plugin and each part.

    python -m msbench.checks.server <request.json >findings.jsonl

It runs no code of plugins itself. Plugins are imported by a process that has imported nothing
else yet, parts are checked by processes that are forked once torch is there.
"""

import gc
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib import import_module
from typing import Any

from msbench.checks.child import ENDED, Send, messages
from msbench.checks.findings import Finding
from msbench.checks.imports import import_plugin, parts_named
from msbench.kinds import Kind
from msbench.plugins.loading import OWN, load_plugins
from msbench.plugins.options import check_options
from msbench.run.device import limit_threads


@dataclass(frozen=True)
class Request:
    """What to check, and how."""

    targets: Sequence[str]
    plugins: Sequence[str] = ()
    """Files to load besides those that are targets."""
    reference: str = ""
    limit: float = 60.0
    only: Sequence[str] = ()
    """Names of checks, if not all are wanted."""
    only_names: bool = False
    """Tell which parts there are, and check nothing."""


@dataclass(frozen=True)
class Named:
    """A part that is to be checked."""

    kind: Kind
    name: str
    plugin: str
    file: str = ""

    @property
    def target(self) -> str:
        """As a target of `msbench check`."""
        part = f"{self.kind}:{self.name}"
        return f"{self.file}::{part}" if self.file else part


def answer(request: Request) -> Iterator[dict[str, Any]]:
    """Messages: `part` for each part, `finding` for each finding, `error` for a wrong target."""
    found: list[Named] = []
    for message in _found(request):
        if "part" in message:
            found.append(Named(**message["part"]))
        else:
            yield message
    parts = list(dict.fromkeys(found))
    yield from ({"part": each.target} for each in parts)
    if request.only_names or not parts:
        return
    _prepare({each.kind for each in parts})
    for part in parts:
        yield from _checked(part, request)


def _found(request: Request) -> Iterator[dict[str, Any]]:
    """The parts that targets name, and what is found while plugins are imported, each once."""
    files: dict[str, list[str]] = {}
    for target in request.targets:
        file, _, name = target.partition("::")
        if file.endswith(".py"):
            files.setdefault(file, []).append(name)
        else:
            yield from _named(target, request)
    for file, names in files.items():
        yield from _imported(file, [] if "" in names else names, request)


def _named(target: str, request: Request) -> Iterator[dict[str, Any]]:
    """The parts of a name or of an installed plugin."""
    plugins: list[str] = []
    work = partial(parts_named, target, list(request.plugins))
    for message in messages(work, request.limit):
        if "plugin" in message:
            plugins.append(message["plugin"])
        elif ENDED in message:
            yield {"error": f"finding {target!r} {message[ENDED]}"}
        else:
            yield message
    for plugin in plugins:
        yield from _imported(plugin, [], request)


def _imported(plugin: str, names: Sequence[str], request: Request) -> Iterator[dict[str, Any]]:
    """A plugin in a process that has imported nothing else yet. names: KIND:NAME of the parts that
    are wanted, if not all."""
    work = partial(import_plugin, plugin, names)
    for message in messages(work, request.limit):
        if ENDED in message:
            why = f"importing it {message[ENDED]}"
            yield _finding(Finding(f"plugin:{plugin}", "loads", "wrong", why))
        elif "finding" not in message or not request.only_names:
            yield message


TRAINING = {"optimizer", "loss", "model", "decoder", "learner"}
"""Kinds whose checks take steps."""


def _prepare(kinds: set[str]) -> None:
    """Import and find out, once, what checks of these kinds need, before processes are forked."""
    from msbench.checks.parts import HOMES

    for kind, module in HOMES.items():
        if kind in kinds:
            import_module(module)
    check_options({}, {})
    if kinds & TRAINING:
        _warm_up()
    gc.collect()
    gc.freeze()


def _warm_up() -> None:
    """Digests of our own code, small tasks and all that is imported when a learner is made."""
    from msbench.checks.subject import Subject

    own = load_plugins(only=[OWN])
    for entry in own.of("learner"):
        for name in entry.preload:
            import_module(name)
        subject = Subject(own, entry)
        for kind in subject.kinds:
            subject.learner(kind)


def _checked(part: Named, request: Request) -> Iterator[dict[str, Any]]:
    """What is found about one part, in a process of its own."""
    named, reached = f"{part.kind}:{part.name}", "loads"
    files = list(dict.fromkeys([part.file, *request.plugins] if part.file else request.plugins))
    work = partial(_check, part, files, request)
    for message in messages(work, request.limit):
        if "begun" in message:
            reached = message["begun"]
        elif ENDED in message:
            yield _finding(Finding(named, reached, "wrong", f"it {message[ENDED]}"))
        else:
            yield message


def _check(part: Named, files: list[str], request: Request, send: Send) -> None:
    from msbench.checks.parts import check_part  # late: plugins are imported without numpy
    from msbench.checks.subject import Subject

    plugins = [part.plugin, *(os.path.basename(file) for file in files)]  # noqa: PTH119
    registry = load_plugins(files, only=plugins)
    subject = Subject(registry, registry.find(part.kind, part.name), request.reference)
    check_part(subject, request.only, send)


def _finding(finding: Finding) -> dict[str, Any]:
    return {"finding": asdict(finding)}


def main() -> None:
    """Answer the request on the standard input with lines on the standard output."""
    limit_threads(1)
    load_plugins(only=[OWN])  # once for all processes
    request = Request(**json.load(sys.stdin))
    for message in answer(request):
        print(json.dumps(message), flush=True)


if __name__ == "__main__":
    main()
