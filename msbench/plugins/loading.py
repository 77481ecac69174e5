"""Finding plugins: installed entry points and files, each asked for its parts."""

import hashlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from msbench.errors import PluginError, did_you_mean
from msbench.kinds import KINDS, Kind, plural
from msbench.plugins import hookspecs
from msbench.plugins.registry import Entry, Plugin, Registry

GROUP = "msbench"
"""The entry point group."""

ALLOW_LIST = "MSBENCH_PLUGINS"
"""Environment variable that narrows which installed plugins are imported."""

HOOKS = {f"register_{plural(kind)}": kind for kind in KINDS}

Entries = dict[tuple[Kind, str], Entry]


def load_plugins(files: Iterable[str] = ()) -> Registry:
    """Everything that is installed (entry point group `msbench`), then the given files.

    A broken installed plugin is set aside in `Registry.broken`. A broken file was asked for by
    name, so it is an error; so are two plugins that claim one name.
    """
    files = tuple(files)
    broken: dict[str, str] = {}
    entries: Entries = {}
    plugins: list[Plugin] = []
    loaders = _installed() + [(file, partial(_from_file, file)) for file in files]
    for name, load in loaders:
        try:
            plugin = load()
            registered = _registered(plugin)
        except (Exception, SystemExit) as error:  # a plugin may fail in any way, on its own
            own = isinstance(error, PluginError)
            reason = str(error) if own else f"{type(error).__name__}: {error}"
            if name in files:
                raise PluginError(f"plugin {name}: {reason}") from error
            broken[name] = reason
            continue
        plugins.append(plugin)
        for entry in registered:
            _claim(entries, entry)
    return Registry(entries, plugins, broken, files)


def _installed() -> list[tuple[str, Callable[[], Plugin]]]:
    """Name and loader of every installed plugin, by name."""
    # One distribution may be listed twice.
    points = {(_package(point)[0], point.value): point for point in entry_points(group=GROUP)}
    points = _allowed(points)
    return [(name, partial(_from_point, points[name, value])) for name, value in sorted(points)]


def _allowed(points: dict[tuple[str, str], EntryPoint]) -> dict[tuple[str, str], EntryPoint]:
    """The entry points whose distribution or name the variable MSBENCH_PLUGINS lists (with commas
    between), and msbench's own; all of them if it is not set."""
    if (listed := os.environ.get(ALLOW_LIST)) is None:
        return points
    wanted = {name.strip() for name in listed.split(",")} - {""}
    names = {key: {key[0], point.name} for key, point in points.items()}
    known = set().union(*names.values())
    if unknown := sorted(wanted - known):
        raise PluginError(
            f"{ALLOW_LIST}: no plugin {unknown[0]!r} is installed{did_you_mean(unknown[0], known)}"
        )
    return {key: points[key] for key in points if names[key] & {*wanted, "msbench"}}


def _package(point: EntryPoint) -> tuple[str, str]:
    return (point.dist.name, point.dist.version) if point.dist else (point.name, "unknown")


def _from_point(point: EntryPoint) -> Plugin:
    return Plugin(*_package(point), point.load())


def _from_file(file: str) -> Plugin:
    path = Path(file)
    try:
        version = "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    except OSError as error:
        raise PluginError(f"cannot be read: {error.strerror}") from error
    name = f"msbench_plugin_{path.stem.replace('-', '_')}_{version[-12:]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError("is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and annotations look their module up
    spec.loader.exec_module(module)
    return Plugin(path.name, version, module)


def _registered(plugin: Plugin) -> list[Entry]:
    """What one plugin registers, with its hooks checked against the specs."""
    if problems := [*_hook_problems(plugin.module)]:
        raise PluginError("; ".join(problems))
    manager = pluggy.PluginManager("msbench")
    manager.add_hookspecs(hookspecs)
    manager.register(plugin.module, plugin.name)
    manager.check_pending()
    entries: Entries = {}
    for name, kind in HOOKS.items():
        getattr(manager.hook, name)(register=partial(_register, entries, plugin, kind))
    if not entries:
        raise PluginError("registers nothing: it has no function marked @msbench.hookimpl")
    return list(entries.values())


def _hook_problems(module: Any) -> Iterator[str]:
    """Hooks that do not exist, and functions that look like hooks but are not marked."""
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
    kind: Kind,
    name: str,
    factory: hookspecs.Factory,
    **facts: Any,
) -> None:
    if not isinstance(name, str) or not name:
        raise PluginError(f"a {kind} needs a name, not {name!r}")
    if problems := [*_entry_problems(factory, facts)]:
        raise PluginError(f"{kind} {name!r}: {'; '.join(problems)}")
    _claim(entries, Entry(kind, name, factory, plugin.name, plugin.version, **facts))


def _entry_problems(factory: Any, facts: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the arguments of `register`; unknown ones fail in `Entry`."""
    if not callable(factory) and not (isinstance(factory, str) and ":" in factory):
        yield 'a factory is a function or "module:attribute"'
    for key, value in facts.items():
        if key in ("base", "helps") and not isinstance(value, str):
            yield f"{key} is a text, not {value!r}"
        if key in ("fits", "sources", "preload") and isinstance(value, str):
            yield f"{key} is a list, not {value!r}"
        if key == "space" and not isinstance(value, Mapping | None):
            yield f"{key} is a mapping of options, not {value!r}"
        if key == "passes" and not isinstance(value, int | float):
            yield f"{key} is a number, not {value!r}"


def _claim(entries: Entries, entry: Entry) -> None:
    """Add the entry; PluginError if another has its name."""
    other = entries.get((entry.kind, entry.name))
    if other is not None:
        raise PluginError(
            f"two plugins claim {entry.kind} {entry.name!r}: {other.plugin} {other.version} and "
            f"{entry.plugin} {entry.version}; uninstall one of them"
        )
    entries[entry.kind, entry.name] = entry
