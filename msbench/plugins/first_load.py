"""The first load of a plugin, installed or a file, in a process of its own, with a deadline.

A plugin that ends or blocks the process which imports it would do that to every command. What came
of it is remembered for exactly this code, so that later loads cost nothing.
"""

import hashlib
import math
import os
import runpy
import signal
import sys
import warnings
from contextlib import suppress
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from msbench.cache import facts_path, recall, remember
from msbench.descendants import end_with_parent
from msbench.errors import MsbenchError, PluginError, PluginWarning, printable
from msbench.paths import read_file
from msbench.plugins.code import code_of

FACTS = "first-loads"

LIMIT_VARIABLE = "MSBENCH_LOAD_LIMIT"

LIMIT = 60.0
"""Seconds that a first load may take, unless the variable says otherwise.

Importing a framework on a busy machine takes many.
"""

PATIENCE = 3.0
"""Seconds after which somebody is told what is waited for."""

LOADED = b"loaded"
"""What the process says at its end, so that one which ends too early is told from it."""


def check_first_load(point: EntryPoint) -> None:
    """PluginError if the process that imports the plugin does not get to the end of that.

    An exception is not looked at: whoever imports the plugin for good will see it.
    """
    package = point.module.partition(".")[0]
    _check(f"{point.module} {code_of([package]).digest}", package, "point", point.value)


def check_first_file(file: str) -> None:
    """As `check_first_load`, of a plugin file."""
    try:
        content = os.fsencode(Path(file).absolute()) + b"\0" + read_file(Path(file))
    except (OSError, ValueError, MsbenchError):
        return  # whoever loads it will say why it cannot be read
    name = f"file {hashlib.sha256(content).hexdigest()}"
    try:
        _check(name, file, "file", file)
    except PluginError as error:
        raise PluginError(f"plugin {file}: {error}") from error


def _check(name: str, plugin: str, form: str, value: str) -> None:
    """PluginError if loading a plugin failed before, or fails now.

    name: of exactly this code. form: "point" if the value is an entry point's, or "file".
    """
    if recall(FACTS).get(name) == "":
        return
    limit = _limit()
    within = f"{name} within {limit:g} s"  # with another limit it may end differently
    wrong = recall(FACTS).get(within)
    if wrong is None:
        wrong = _attempt(plugin, form, value, limit)
        remember(FACTS, {within if wrong else name: wrong})
    if wrong:
        raise PluginError(f"{wrong}; to have it tried again, delete {facts_path(FACTS)}")


def _attempt(plugin: str, form: str, value: str, limit: float) -> str:
    """What is wrong with loading it; "" if nothing is."""
    import subprocess  # late: nearly always it is known already
    import tempfile

    path = os.pathsep.join(each for each in sys.path if each)
    main = "from msbench.plugins import first_load; first_load.main()"
    # Files, since the end of a pipe would be waited for as long as any process has it.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(  # noqa: S603 - our own module, in a process of its own
            [sys.executable, "-P", "-c", main, form, value],
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=errors,
            start_new_session=True,
        )
        try:
            _wait(process, plugin, limit)
        except subprocess.TimeoutExpired:
            return f"importing it did not end within {limit:g} s ({LIMIT_VARIABLE} allows more)"
        finally:
            _end(process)
        out.seek(0)
        if out.read(len(LOADED)) == LOADED:
            return ""
        errors.seek(max(0, errors.seek(0, os.SEEK_END) - 1200))
        last = errors.read().decode(errors="replace").strip()[-300:]
    ending = f"importing it ended the process with exit code {process.returncode}"
    return ending + (f"; it last said: {last}" if last else "")


def _wait(process: Any, plugin: str, limit: float) -> None:
    """Wait for the process to end, and say so if that takes long."""
    from subprocess import TimeoutExpired

    with suppress(TimeoutExpired):
        process.wait(min(limit, PATIENCE))
        return
    if limit > PATIENCE:
        message = f"plugin {plugin}: importing it for the first time, for up to {limit:g} s"
        warnings.warn(message, PluginWarning, stacklevel=2)
    process.wait(max(0.0, limit - PATIENCE))


def _limit() -> float:
    text = os.environ.get(LIMIT_VARIABLE) or str(LIMIT)
    with suppress(ValueError):
        if 0 < float(text) < math.inf:
            return float(text)
    raise MsbenchError(f"{LIMIT_VARIABLE} is a number of seconds, not {printable(text)}")


def _end(process: Any) -> None:
    """End the process and what it started in its session."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


def main() -> None:
    """In the process: load the entry point or the file that the command line names."""
    end_with_parent()
    out = os.dup(1)
    os.dup2(2, 1)  # what it prints is no message of ours
    form, value = sys.argv[1:]
    with suppress(Exception, SystemExit):
        runpy.run_path(value) if form == "file" else EntryPoint("", value, "").load()
    os.write(out, LOADED)
    os._exit(0)  # without waiting for what it leaves behind
