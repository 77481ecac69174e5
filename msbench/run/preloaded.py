"""Imported by the server that workers are forked from: it imports what they will need.

What these imports change of the process is put back, so that no trial begins in a state that some
plugin has left; and what every trial would find out for itself is found out once for all workers.
"""

import gc
import json
import os
from contextlib import suppress
from importlib import import_module

from msbench.plugins.code import code_of
from msbench.plugins.loading import OWN, load_plugins
from msbench.plugins.options import check_options
from msbench.plugins.registry import RUNS_A_TRIAL
from msbench.plugins.state import quiet_import
from msbench.records.validation import parsed
from msbench.run.device import machine
from msbench.run.processes import PRELOAD


def preload(modules: list[str]) -> None:
    """Import modules; those that cannot be imported are left to the worker that needs them."""
    settings = next(iter(load_plugins(only=[OWN]).entries.values())).shared
    for name in modules:
        with suppress(Exception, SystemExit), quiet_import(name, "it", settings):
            import_module(name)
    own = [name for name in modules if name.startswith(f"{OWN}.")]
    code_of([*own, RUNS_A_TRIAL])
    _find_out()
    # Or the first collection of each worker would copy all of a framework's pages.
    gc.collect()
    gc.freeze()


def _find_out() -> None:
    """What is kept once it was asked for: the machine, what checks options, what checks records."""
    machine()
    check_options({}, {})
    with suppress(ValueError):
        parsed(b"{}")


preload(json.loads(os.environ.get(PRELOAD, "[]")))
