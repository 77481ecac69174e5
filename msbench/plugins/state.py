"""The state of the process that every trial shares: what a plugin changes in it is put back.

A setting is read and written by a pair of functions. A framework's are declared by its learner
(`register(..., settings=)`), so that nothing here imports one.
"""

import decimal
import faulthandler
import gc
import locale
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from io import StringIO
from typing import Any

from msbench.errors import PluginWarning

Setting = tuple[Callable[[], Any], Callable[[Any], Any]]
"""How it is read, and written. Of what is not loaded yet, the value that it will have then is read,
or None where nobody knows; None is never written."""

Settings = Mapping[str, Setting]

RANDOM = "random numbers"
"""What the names of generators begin with."""

SILENT = (RANDOM, "warning filters")
"""Put back without a word: what an honest factory changes, or an honest library at import."""

LEFT = ("KMP_", "CUDA_MODULE_LOADING", "TORCHINDUCTOR_CACHE_DIR")
"""Variables that libraries set for themselves when they are loaded."""


@contextmanager
def kept_state(
    who: str, when: str, settings: Settings, *, generators: bool = True
) -> Iterator[None]:
    """Afterwards all settings are as before; what differed is named in a PluginWarning, once.

    who: the plugin. when: what it does meanwhile, such as "importing it". generators: those of
    random numbers are put back, too.
    """
    every = {**STANDARD, **settings}
    if not generators:
        every = {name: each for name, each in every.items() if not name.startswith(RANDOM)}
    before = {name: _value(read) for name, (read, _) in every.items()}
    try:
        yield
    finally:
        after = {name: _value(read) for name, (read, _) in every.items()}
        changed = [n for n in every if before[n] is not None and before[n] != after[n]]
        for name in changed:
            with suppress(Exception):  # one that cannot be put back must not keep the others
                every[name][1](before[name])
        told = [name for name in changed if not name.startswith(SILENT)]
        stuck = [name for name in told if _value(every[name][0]) != before[name]]
        if told:
            named = ", ".join(_named(name, before[name], after[name]) for name in told)
            ending = f"not put back: {', '.join(stuck)}" if stuck else "put back as before"
            message = f"plugin {who}: {when} changed {named}; {ending}"
            warnings.warn(message, PluginWarning, stacklevel=2)


@contextmanager
def quiet_import(who: str, what: str, settings: Settings) -> Iterator[None]:
    """State is kept while a plugin is imported, and what it prints is named, not printed: it would
    stand in tables. That goes for what programs and libraries write that it calls, too."""
    printed, written = StringIO(), list[str]()
    try:
        caught = _written_to_stdout(written)
        with kept_state(who, f"importing {what}", settings), caught, redirect_stdout(printed):
            yield
    finally:
        if text := (printed.getvalue() + "".join(written)).strip():
            warnings.warn(
                f"plugin {who}: importing {what} printed {text!r:.200}",
                PluginWarning,
                stacklevel=2,
            )


@contextmanager
def _written_to_stdout(found: list[str]) -> Iterator[None]:
    """What is written to descriptor 1 goes into the list instead, where the system allows that."""
    with suppress(Exception):
        sys.stdout.flush()  # what was printed before is nobody else's
    try:
        kept, file = os.dup(1), os.memfd_create("stdout")
    except (OSError, AttributeError):
        yield
        return
    os.dup2(file, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        found.append(os.pread(file, 1000, 0).decode(errors="replace"))
        os.close(file)


def _value(read: Callable[[], Any]) -> Any:
    """What is read; None where a plugin has made that impossible."""
    try:
        return read()
    except Exception:
        return None


def _named(name: str, before: Any, after: Any) -> str:
    """The setting that changed, and which of several values in it."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return name
    keys = {*before, *after}
    return f"{name} ({', '.join(sorted(str(k) for k in keys if before.get(k) != after.get(k)))})"


def _module(name: str) -> Any:
    """A module, if it is loaded."""
    return sys.modules.get(name)


def _variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(LEFT)}


def _set_variables(values: Mapping[str, str]) -> None:
    for name in _variables().keys() - values.keys():
        del os.environ[name]
    os.environ.update(values)


def _folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 (a text, and fast)
    except OSError:
        return None


_SIGNALS = tuple(map(int, signal.valid_signals()))


def _handlers() -> dict[int, Any]:
    return {number: signal.getsignal(number) for number in _SIGNALS}


def _set_handlers(handlers: Mapping[int, Any]) -> None:
    if threading.current_thread() is threading.main_thread():
        for number, handler in handlers.items():
            if handler is not None and signal.getsignal(number) != handler:
                signal.signal(number, handler)


def _decimal() -> tuple[Any, ...]:
    context = decimal.getcontext()
    traps = tuple(trap for trap, active in context.traps.items() if active)
    return context.prec, context.rounding, context.Emin, context.Emax, traps


def _set_decimal(values: tuple[Any, ...]) -> None:
    precision, rounding, low, high, traps = values
    changed = decimal.Context(precision, rounding, low, high, traps=list(traps))
    decimal.setcontext(changed)


def _logging() -> tuple[Any, ...]:
    module = _module("logging")
    if module is None:
        return 30, (), 0
    return module.root.level, tuple(module.root.handlers), module.root.manager.disable


def _set_logging(values: tuple[Any, ...]) -> None:
    root = _module("logging").root
    root.level, root.handlers[:], root.manager.disable = values[0], values[1], values[2]


def _numpy_errors() -> dict[str, str]:
    numpy = _module("numpy")
    usual = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}
    return dict(numpy.geterr()) if hasattr(numpy, "geterr") else usual


def _numpy_random() -> tuple[Any, ...] | None:
    module = _module("numpy.random")
    if not hasattr(module, "get_state"):
        return None
    name, keys, *rest = module.get_state()
    return name, keys.tobytes(), *rest


def _set_numpy_random(values: tuple[Any, ...]) -> None:
    name, keys, *rest = values
    module = _module("numpy")
    module.random.set_state((name, module.frombuffer(keys, "uint32"), *rest))


def _streams() -> tuple[Any, ...]:
    return sys.stdin, sys.stdout, sys.stderr, sys.excepthook, sys.displayhook


def _set_streams(values: tuple[Any, ...]) -> None:
    sys.stdin, sys.stdout, sys.stderr, sys.excepthook, sys.displayhook = values


def _set_filters(filters: list[Any]) -> None:
    warnings.filters[:] = filters  # type: ignore[index]
    warnings._filters_mutated()  # type: ignore[attr-defined]


def _random_numbers() -> Any:
    module = _module("random")
    return module.getstate() if hasattr(module, "getstate") else None


def _set_garbage_collection(values: tuple[bool, tuple[int, int, int]]) -> None:
    (gc.enable if values[0] else gc.disable)()
    gc.set_threshold(*values[1])


def _affinity() -> set[int] | None:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None


STANDARD: Settings = {
    "environment variables": (_variables, _set_variables),
    "the working folder": (_folder, os.chdir),
    "sys.path": (lambda: list(sys.path), lambda value: sys.path.__setitem__(slice(None), value)),
    "standard streams": (_streams, _set_streams),
    "signal handlers": (_handlers, _set_handlers),
    "faulthandler": (
        faulthandler.is_enabled,
        lambda on: faulthandler.enable() if on else faulthandler.disable(),
    ),
    "the locale": (
        lambda: locale.setlocale(locale.LC_ALL),
        lambda value: locale.setlocale(locale.LC_ALL, value),
    ),
    "decimal arithmetic": (_decimal, _set_decimal),
    "the recursion limit": (sys.getrecursionlimit, sys.setrecursionlimit),
    "garbage collection": (
        lambda: (gc.isenabled(), gc.get_threshold()),
        _set_garbage_collection,
    ),
    "CPU affinity": (_affinity, lambda cores: os.sched_setaffinity(0, cores)),
    "logging": (_logging, _set_logging),
    "warning filters": (lambda: list(warnings.filters), _set_filters),
    "numpy's error handling": (
        _numpy_errors,
        lambda value: _module("numpy").seterr(**value),
    ),
    f"{RANDOM} (random)": (_random_numbers, lambda value: _module("random").setstate(value)),
    f"{RANDOM} (numpy)": (_numpy_random, _set_numpy_random),
}
"""What Python and numpy have for all."""
