"""The first load of an installed plugin, in a process of its own, with a deadline.

A plugin that ends or blocks the process which imports it would do that to every command. What came
of it is remembered for exactly this code, so that later loads cost nothing.
"""

import math
import os
import signal
import sys
from contextlib import suppress
from importlib.metadata import EntryPoint
from typing import Any

from msbench.cache import facts_path, recall, remember
from msbench.errors import MsbenchError, PluginError, printable
from msbench.plugins.code import code_of

FACTS = "first-loads"

LIMIT_VARIABLE = "MSBENCH_LOAD_LIMIT"

LIMIT = 60.0
"""Seconds that a first load may take, unless the variable says otherwise.

Importing a framework on a busy machine takes many.
"""

LOADED = b"loaded"
"""What the process says at its end, so that one which ends too early is told from it."""


def check_first_load(point: EntryPoint) -> None:
    """PluginError if the process that imports the plugin does not get to the end of that.

    An exception is not looked at: whoever imports the plugin for good will see it.
    """
    package = point.module.partition(".")[0]
    name = f"{point.module} {code_of([package]).digest}"
    if recall(FACTS).get(name) == "":
        return
    limit = _limit()
    within = f"{name} within {limit:g} s"  # with another limit it may end differently
    wrong = recall(FACTS).get(within)
    if wrong is None:
        wrong = _attempt(point.value, limit)
        remember(FACTS, {within if wrong else name: wrong})
    if wrong:
        raise PluginError(f"{wrong}; to have it tried again, delete {facts_path(FACTS)}")


def _attempt(value: str, limit: float) -> str:
    """What is wrong with loading an entry point; "" if nothing is."""
    import subprocess  # late: nearly always it is known already
    import tempfile

    path = os.pathsep.join(each for each in sys.path if each)
    main = "from msbench.plugins import first_load; first_load.main()"
    # Files, since the end of a pipe would be waited for as long as any process has it.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(  # noqa: S603 - our own module, in a process of its own
            [sys.executable, "-P", "-c", main, value],
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=errors,
            start_new_session=True,
        )
        try:
            process.wait(limit)
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
    """In the process: load the entry point that the command line names."""
    out = os.dup(1)
    os.dup2(2, 1)  # what it prints is no message of ours
    with suppress(Exception, SystemExit):
        EntryPoint("", sys.argv[1], "").load()
    os.write(out, LOADED)
    os._exit(0)  # without waiting for what it leaves behind
