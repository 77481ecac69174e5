"""Finding plugins: installed entry points and files, each asked for its parts."""

import hashlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from msbench.errors import PluginError, did_you_mean
from msbench.plugins import hookspecs
from msbench.plugins.registry import Entry, Plugin, Registry, plural
from msbench.spec import KINDS, Kind

GROUP = "msbench"
"""The entry point group."""


def load_plugins(files: Iterable[str] = ()) -> Registry:
    """Everything that is installed (entry point group `msbench`), then the given files.

    A broken installed plugin is set aside in `Registry.broken`. A broken file was asked for by
    name, so it is an error; so are two plugins that claim one name.
    """
    files = tuple(files)
    broken: dict[str, str] = {}
    entries: dict[tuple[Kind, str], Entry] = {}
    plugins: list[Plugin] = []
    loaders: list[tuple[str, Callable[[], Plugin]]] = [*_installed()]
    loaders += [(file, partial(_from_file, file)) for file in files]
    for name, load in loaders:
        try:
            plugin = load()
            found = _registered(plugin)
        except (Exception, SystemExit) as error:  # a plugin may fail in any way, on its own
            reason = str(error) if isinstance(error, PluginError) else _short(error)
            if name in files:
                raise PluginError(f"plugin {name}: {reason}") from error
            broken[name] = reason
            continue
        plugins.append(plugin)
        for entry in found:
            _claim(entries, entry)
    return Registry(entries, plugins, broken, files)


def _installed() -> list[tuple[str, Callable[[], Plugin]]]:
    found = {}
    for point in entry_points(group=GROUP):
        package = point.dist.name if point.dist else point.name
        version = point.dist.version if point.dist else "unknown"

        def load(point: Any = point, package: str = package, version: str = version) -> Plugin:
            return Plugin(package, version, point.load())

        found[package, point.value] = (package, load)  # one distribution may be listed twice
    return sorted(found.values(), key=lambda each: each[0])


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
    manager = pluggy.PluginManager("msbench")
    manager.add_hookspecs(hookspecs)
    manager.register(plugin.module, plugin.name)
    _check_hooks(manager, plugin)
    entries: dict[tuple[Kind, str], Entry] = {}
    for kind in KINDS:
        hook = getattr(manager.hook, f"register_{plural(kind)}")
        hook(register=partial(_register, entries, plugin, kind))
    if not entries:
        raise PluginError("registers nothing: it has no function marked @msbench.hookimpl")
    return list(entries.values())


def _check_hooks(manager: pluggy.PluginManager, plugin: Plugin) -> None:
    known = [f"register_{plural(kind)}" for kind in KINDS]
    for name in (
        vars(plugin.module) if isinstance(plugin.module, ModuleType) else dir(plugin.module)
    ):
        marked = getattr(getattr(plugin.module, name), "msbench_impl", None)
        marked = marked if isinstance(marked, dict) else None  # some objects have every attribute
        if marked is not None and name not in known:
            raise PluginError(f"unknown hook {name!r}{did_you_mean(name, known)}")
        if marked is None and name.startswith("register_"):
            hint = "" if name in known else did_you_mean(name, known)
            raise PluginError(f"{name!r} is not marked: put @msbench.hookimpl above it{hint}")
    manager.check_pending()


def _register(
    entries: dict[tuple[Kind, str], Entry],
    plugin: Plugin,
    kind: Kind,
    name: str,
    factory: hookspecs.Factory,
    **facts: Any,
) -> None:
    if not isinstance(name, str) or not name:
        raise PluginError(f"a {kind} needs a name, not {name!r}")
    if not callable(factory) and not (isinstance(factory, str) and ":" in factory):
        raise PluginError(f'{kind} {name!r}: a factory is a function or "module:attribute"')
    for key in ("base", "helps"):
        if not isinstance(facts.get(key, ""), str):
            raise PluginError(f"{kind} {name!r}: {key} is a text, not {facts[key]!r}")
    for key in ("fits", "sources", "preload"):
        if isinstance(facts.get(key), str):
            raise PluginError(f"{kind} {name!r}: {key} is a list, not {facts[key]!r}")
    space = facts.get("space")
    if space is not None and not isinstance(space, Mapping):
        raise PluginError(f"{kind} {name!r}: space is a mapping of options, not {space!r}")
    if not isinstance(facts.get("passes", 1), int | float):
        raise PluginError(f"{kind} {name!r}: passes is a number, not {facts['passes']!r}")
    _claim(entries, Entry(kind, name, factory, plugin.name, plugin.version, **facts))


def _claim(entries: dict[tuple[Kind, str], Entry], entry: Entry) -> None:
    other = entries.get((entry.kind, entry.name))
    if other is not None:
        raise PluginError(
            f"two plugins claim {entry.kind} {entry.name!r}: {other.plugin} {other.version} and "
            f"{entry.plugin} {entry.version}; uninstall one of them"
        )
    entries[entry.kind, entry.name] = entry


def _short(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
