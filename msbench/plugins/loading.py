"""Finding plugins: installed entry points and files, each asked for its parts."""

import hashlib
import importlib.util
import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from msbench.errors import PluginError, did_you_mean
from msbench.kinds import KINDS, Kind, plural
from msbench.paths import read_file
from msbench.plugins import hookspecs
from msbench.plugins.first_load import check_first_load
from msbench.plugins.hookspecs import VERSION
from msbench.plugins.libraries import folders
from msbench.plugins.registry import Entry, Plugin, Registry
from msbench.plugins.state import STANDARD, Setting, Settings, quiet_import

GROUP = "msbench"
"""The entry point group."""

ALLOW_LIST = "MSBENCH_PLUGINS"
"""Environment variable that narrows which installed plugins are imported."""

OWN = "msbench"
"""The distribution of our own parts."""

CONTRACT = "MSBENCH_CONTRACT"
"""What a plugin calls the version of the contract that it was written for."""

HOOKS = {f"register_{plural(kind)}": kind for kind in KINDS}

Points = dict[tuple[str, str], tuple[str, EntryPoint]]
"""Package and value of entry points -> version of the package, and the point."""

Entries = dict[tuple[Kind, str], Entry]


def load_plugins(files: Iterable[str] = (), only: Collection[str] | None = None) -> Registry:
    """Everything that is installed (entry point group `msbench`), then the given files.

    A broken installed plugin is set aside in `Registry.broken`, and so is one that claims a name
    of msbench's or of another one. A broken file was asked for by name, so it is an error. What a
    plugin changes of the process when it is imported is put back (`state.py`).

    only: names of plugins; no others are loaded, and these have been loaded before.
    """
    files = tuple(files)
    broken: dict[str, str] = {}
    entries: Entries = {}
    plugins: dict[str, Plugin] = {}
    shared: dict[str, Setting] = {}
    found: list[Entry] = []
    for name, load in _installed(only):
        try:
            plugin, registered = _loaded(name, load, shared)
        except (Exception, SystemExit) as error:  # a plugin may fail in any way, on its own
            broken[name] = _reason(error)
            continue
        plugins[name] = plugin
        found += registered
        if name == OWN:
            _share(shared, registered)
    broken |= _clashes(found)
    kept = [entry for entry in found if entry.plugin not in broken]
    for entry in kept:
        _claim(entries, entry)
    _share(shared, kept)
    for file in files:
        if only is not None and Path(file).name not in only:
            continue
        try:
            plugin, registered = _loaded(file, partial(_from_file, file), shared)
        except (Exception, SystemExit) as error:
            raise PluginError(f"plugin {file}: {_reason(error)}") from error
        plugins[file] = plugin
        for entry in registered:
            _claim(entries, entry)
        _share(shared, registered)
    loaded = [plugin for plugin in plugins.values() if plugin.name not in broken]
    return Registry(entries, loaded, broken, files)


def _share(shared: dict[str, Setting], entries: Iterable[Entry]) -> None:
    """Add the settings that learners declare to those that every plugin has to leave alone."""
    for entry in entries:
        shared |= entry.settings or {}


def _installed(only: Collection[str] | None = None) -> list[tuple[str, Callable[[], Plugin]]]:
    """Name and loader of every installed plugin: ours, then the others by name."""
    points = _allowed(_points(entry_points, folders()))
    order = sorted(points, key=lambda each: (each[0] != OWN, each))
    return [
        (name, partial(_from_point, name, *points[name, value], known=only is not None))
        for name, value in order
        if only is None or name in only or name == OWN
    ]


@lru_cache(maxsize=1)
def _points(find: Callable[..., Any], state: Any) -> Points:
    """By package and value, the entry points in this state of the folders.

    Workers are forked with it: reading what is installed takes long beside a short trial.
    """
    found = [(*_package(point), point) for point in find(group=GROUP)]
    # One distribution may be listed twice.
    return {(name, point.value): (version, point) for name, version, point in found}


def _loaded(name: str, load: Callable[[], Plugin], shared: Settings) -> tuple[Plugin, list[Entry]]:
    """A plugin and what it registers. shared: settings of frameworks."""
    with quiet_import(name, "it", shared):
        plugin = load()
        return plugin, _registered(plugin, shared)


def _reason(error: BaseException) -> str:
    own = isinstance(error, PluginError)
    return str(error) if own else f"{type(error).__name__}: {error}"


def _clashes(entries: Sequence[Entry]) -> dict[str, str]:
    """Plugins that claim what another one claims: none of them is loaded, but for our own.

    To load one of two would decide in silence what a suite means.
    """
    claims: dict[tuple[Kind, str], list[Entry]] = {}
    for entry in entries:
        claims.setdefault((entry.kind, entry.name), []).append(entry)
    return {
        entry.plugin: _claimed_twice(*several[:2])
        for several in claims.values()
        for entry in several
        if len(several) > 1 and entry.plugin != OWN
    }


def _allowed(points: Points) -> Points:
    """The entry points whose distribution or name the variable MSBENCH_PLUGINS lists (with commas
    between), and msbench's own; all of them if it is not set."""
    if (listed := os.environ.get(ALLOW_LIST)) is None:
        return points
    wanted = {name.strip() for name in listed.split(",")} - {""}
    names = {key: {key[0], point.name} for key, (_, point) in points.items()}
    known = set().union(*names.values())
    if unknown := sorted(wanted - known):
        raise PluginError(
            f"{ALLOW_LIST}: no plugin {unknown[0]!r} is installed{did_you_mean(unknown[0], known)}"
        )
    return {key: points[key] for key in points if key[0] == OWN or names[key] & wanted}


def _package(point: EntryPoint) -> tuple[str, str]:
    return (point.dist.name, point.dist.version) if point.dist else (point.name, "unknown")


def _from_point(name: str, version: str, point: EntryPoint, known: bool) -> Plugin:
    """known: it was loaded before."""
    if name != OWN and not known:
        check_first_load(point)
    return Plugin(name, version, point.load(), point.module.partition(".")[0])


def _from_file(file: str) -> Plugin:
    path = Path(file)
    try:
        version = "sha256:" + hashlib.sha256(read_file(path)).hexdigest()[:12]
    except OSError as error:
        raise PluginError(f"cannot be read: {error.strerror}") from error
    name = f"msbench_plugin_{path.stem.replace('-', '_')}_{version[-12:]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError("is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and annotations look their module up
    spec.loader.exec_module(module)
    return Plugin(path.name, version, module, name)


def _registered(plugin: Plugin, shared: Settings) -> list[Entry]:
    """What one plugin registers, with its hooks checked against the specs."""
    if problems := [*_hook_problems(plugin.module)]:
        raise PluginError("; ".join(problems))
    manager = pluggy.PluginManager("msbench")
    manager.add_hookspecs(hookspecs)
    manager.register(plugin.module, plugin.name)
    manager.check_pending()
    entries: Entries = {}
    for name, kind in HOOKS.items():
        register = partial(_register, entries, plugin, shared, kind)
        getattr(manager.hook, name)(register=register)
    if not entries:
        raise PluginError("registers nothing: it has no function marked @msbench.hookimpl")
    return list(entries.values())


def _hook_problems(module: Any) -> Iterator[str]:
    """A contract that is not ours; hooks that do not exist, and functions that look like hooks but
    are not marked."""
    contract = getattr(module, CONTRACT, None) if isinstance(module, ModuleType) else None
    if contract is not None and not (type(contract) is int and 1 <= contract <= VERSION):
        yield f"{CONTRACT} is {contract!r}, and this msbench knows 1 to {VERSION}"
    for name in vars(module) if isinstance(module, ModuleType) else dir(module):
        marked = isinstance(  # some objects have every attribute
            getattr(getattr(module, name), "msbench_impl", None), dict
        )
        if marked and name not in HOOKS:
            yield f"unknown hook {name!r}{did_you_mean(name, HOOKS)}"
        elif not marked and name.startswith("register_"):
            hint = "" if name in HOOKS else did_you_mean(name, HOOKS)
            yield f"{name!r} is not marked: put @msbench.hookimpl above it{hint}"


def _register(
    entries: Entries,
    plugin: Plugin,
    shared: Settings,
    kind: Kind,
    name: str,
    factory: hookspecs.Factory,
    **facts: Any,
) -> None:
    if not isinstance(name, str) or not name:
        raise PluginError(f"a {kind} needs a name, not {name!r}")
    if problems := [*_entry_problems(factory, facts)]:
        raise PluginError(f"{kind} {name!r}: {'; '.join(problems)}")
    facts |= {"package": plugin.package, "shared": shared}
    _claim(entries, Entry(kind, name, factory, plugin.name, plugin.version, **facts))


def _entry_problems(factory: Any, facts: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the arguments of `register`; unknown ones fail in `Entry`."""
    if not callable(factory) and not (isinstance(factory, str) and ":" in factory):
        yield 'a factory is a function or "module:attribute"'
    tokenizer = facts.get("tokenizer", "")
    if tokenizer and not callable(tokenizer) and ":" not in str(tokenizer):
        yield 'a tokenizer is a function or "module:attribute"'
    if facts.get("reads_targets") and list(facts.get("fits", ())) != ["lm"]:
        yield 'only decoders with fits=["lm"] may have reads_targets: others could return them'
    for key, value in facts.items():
        if key in ("base", "helps") and not isinstance(value, str):
            yield f"{key} is a text, not {value!r}"
        if key in ("fits", "sources", "preload") and isinstance(value, str):
            yield f"{key} is a list, not {value!r}"
        if key in ("space", "settings") and not isinstance(value, Mapping | None):
            yield f"{key} is a mapping of options, not {value!r}"
        if key == "settings":
            yield from _setting_problems(value)
        if key == "passes" and not isinstance(value, int | float):
            yield f"{key} is a number, not {value!r}"


def _setting_problems(settings: Any) -> Iterator[str]:
    for name, pair in settings.items() if isinstance(settings, Mapping) else ():
        if not (isinstance(pair, Sequence) and len(pair) == 2 and all(map(callable, pair))):
            yield f"setting {name!r} is a pair of functions that read and write it, not {pair!r}"
        if name in STANDARD:
            yield f"setting {name!r} has the name of one that msbench keeps itself"


def _claim(entries: Entries, entry: Entry) -> None:
    """Add the entry; PluginError if another has its name."""
    other = entries.get((entry.kind, entry.name))
    if other is not None:
        raise PluginError(_claimed_twice(other, entry))
    entries[entry.kind, entry.name] = entry


def _claimed_twice(one: Entry, other: Entry) -> str:
    return (
        f"two plugins claim {one.kind} {one.name!r}: {one.plugin} {one.version} and "
        f"{other.plugin} {other.version}; uninstall one of them"
    )
