"""What importing a plugin does: how long it takes, what it loads, prints, changes and leaves."""

import os
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from time import monotonic, process_time
from typing import Any

from msbench.checks.child import Send
from msbench.checks.findings import Skipped, Wrong, tried
from msbench.errors import MsbenchError, PluginError, PluginWarning, did_you_mean
from msbench.kinds import KINDS, kind_of, plural
from msbench.plugins.loading import OWN, load_plugins
from msbench.plugins.registry import Entry, Registry

HEAVY = (
    *("torch", "tensorflow", "keras", "jax", "flax", "transformers", "datasets", "accelerate"),
    *("sklearn", "scipy", "pandas", "matplotlib", "spacy", "nltk", "onnxruntime"),
)
"""Libraries whose import everybody who lists parts would wait for."""

SECONDS = 1.0
"""Of processor time that an import may take; of waiting, three times as many."""


@dataclass
class Import:
    """What was seen while a plugin was imported."""

    plugin: str
    registry: Registry | None = None
    error: str = ""
    seconds: float = 0.0
    waited: float = 0.0
    heavy: list[str] = field(default_factory=list)
    printed: str = ""
    warned: list[str] = field(default_factory=list)
    threads: list[str] = field(default_factory=list)

    @property
    def is_file(self) -> bool:
        """Whether it is a file and no package."""
        return self.plugin.endswith(".py")


def loads(seen: Import) -> None:
    """It can be imported, registers parts through hooks that exist, and claims no other's name.

    Otherwise none of its parts is there."""
    if seen.error:
        raise Wrong(f"it cannot be loaded: {seen.error}")


def loads_fast(seen: Import) -> None:
    """Importing it takes less than a second: every command that lists parts waits for it.

    Of a single file that imports a framework no time is taken."""
    if seen.is_file and seen.heavy:
        raise Skipped(f"it imports {', '.join(seen.heavy)}")
    if seen.seconds > SECONDS or seen.waited > 3 * SECONDS:
        raise Wrong(
            f"importing it takes {seen.seconds:.1f} s of the processor's time and {seen.waited:.1f}"
            f" s in all; do what takes long in the factory, when a part is made"
        )


def loads_light(seen: Import) -> str:
    """Importing it imports no framework and no other heavy library.

    Name factories as `"package.module:attribute"`, and their module is imported when the part is
    used. A single file, which holds its parts itself, may import what it needs."""
    if not seen.heavy:
        return ""
    if seen.is_file:
        return f"imports {', '.join(seen.heavy)}: well in a file, too slow in a package"
    raise Wrong(
        f"importing it imports {', '.join(seen.heavy)}, which everyone waits for who lists parts; "
        f'name factories as "package.module:attribute"'
    )


def loads_silently(seen: Import) -> None:
    """Importing it prints nothing: that would stand in tables and JSON."""
    if seen.printed:
        raise Wrong(f"importing it prints {seen.printed!r:.200}; use logging, or nothing")


def leaves_no_trace(seen: Import) -> None:
    """Importing it leaves the process as it was.

    Looked at are what msbench would put back (environment, working folder, streams, handlers,
    random states, ...) and threads that it would leave running."""
    if seen.warned:
        raise Wrong("; ".join(seen.warned))
    if seen.threads:
        raise Wrong(f"importing it leaves threads running: {', '.join(seen.threads)}")


CHECKS: tuple[Callable[[Any], Any], ...] = (
    loads,
    loads_fast,
    loads_light,
    loads_silently,
    leaves_no_trace,
)


def import_plugin(plugin: str, names: Sequence[str], send: Send) -> None:
    """In a process that has imported no plugin: sends findings about the import, then the parts.

    plugin: a file or the name of a distribution. names: KIND:NAME of the parts that are wanted, if
    not all; one that is not there is an error.
    """
    seen = _seen(plugin)
    for check in CHECKS:
        finding = tried(f"plugin:{plugin}", check, seen)
        send({"finding": asdict(finding)})
        if finding.verdict == "wrong" and check is loads:
            return
    assert seen.registry is not None
    owner = os.path.basename(plugin) if seen.is_file else plugin  # noqa: PTH119
    entries = {f"{each.kind}:{each.name}": each for each in _of(seen.registry, owner)}
    for name in names or entries:
        if name in entries:
            send({"part": _named(entries[name], plugin if seen.is_file else "")})
        else:
            send({"error": f"{plugin}: there is no {name!r}{did_you_mean(name, entries)}"})


def _seen(plugin: str) -> Import:
    """Imports the plugin and watches."""
    seen = Import(plugin)
    load_plugins(only=[OWN])  # what that imports is not this plugin's doing
    modules, threads = {*sys.modules}, {*threading.enumerate()}
    wait, work = monotonic(), process_time()
    with _printed(seen), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            # Asked for by name, it is not imported in a process of its own before.
            seen.registry = load_plugins([plugin] if seen.is_file else (), only=_only(plugin))
            seen.error = seen.registry.broken.get(plugin, "")
        except MsbenchError as error:
            seen.error = str(error)
    seen.seconds, seen.waited = process_time() - work, monotonic() - wait
    if plugin != OWN:
        tops = {name.partition(".")[0] for name in {*sys.modules} - modules}
        seen.heavy = [name for name in HEAVY if name in tops]
    for each in caught:
        if each.category is PluginWarning:
            said = str(each.message)
            if " printed " in said:
                seen.printed = said.partition(" printed ")[2]
            else:
                seen.warned.append(said)
    seen.threads = [each.name for each in threading.enumerate() if each not in threads]
    return seen


def _only(plugin: str) -> list[str]:
    return [os.path.basename(plugin) if plugin.endswith(".py") else plugin]  # noqa: PTH119


@contextmanager
def _printed(seen: Import) -> Iterator[None]:
    """What is written to the streams themselves, past Python's."""
    with tempfile.TemporaryFile() as log:
        kept = [os.dup(number) for number in (1, 2)]
        for number in (1, 2):
            os.dup2(log.fileno(), number)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, old in zip((1, 2), kept, strict=True):
                os.dup2(old, number)
                os.close(old)
            log.seek(0)
            seen.printed = log.read(2000).decode(errors="replace").strip()


def parts_named(target: str, files: Sequence[str], send: Send) -> None:
    """In a process of its own: sends the plugin or the parts that a name means, or an error."""
    registry = load_plugins(files)
    if target in registry.broken or any(each.name == target for each in registry.plugins):
        send({"plugin": target})
        return
    try:
        entries = _entries(registry, target)
    except MsbenchError as error:
        send({"error": str(error)})
        return
    of_file = {os.path.basename(file): file for file in files}  # noqa: PTH119
    for entry in entries:
        send({"part": _named(entry, of_file.get(entry.plugin, ""))})


def _entries(registry: Registry, target: str) -> list[Entry]:
    """The part of a KIND:NAME, all parts of a kind, or all of a name; PluginError if there is
    none."""
    kind, colon, name = target.partition(":")
    if colon:
        return [registry.find(kind_of(kind), name)]
    if target in (*KINDS, *map(plural, KINDS)):
        return registry.of(kind_of(target))
    found = [entry for entry in registry.entries.values() if entry.name == target]
    if not found:
        known = {entry.name for entry in registry.entries.values()}
        known |= {plugin.name for plugin in registry.plugins}
        raise PluginError(
            f"there is no part, file or package {target!r}{did_you_mean(target, known)}"
        )
    return found


def _of(registry: Registry, plugin: str) -> list[Entry]:
    """The parts of a plugin."""
    return [entry for entry in registry.entries.values() if entry.plugin == plugin]


def _named(entry: Entry, file: str) -> dict[str, str]:
    return {"kind": entry.kind, "name": entry.name, "plugin": entry.plugin, "file": file}
