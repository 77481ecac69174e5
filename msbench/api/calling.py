"""Calls from a notebook or a script: workers start as those of the command line do."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from msbench.run.device import limit_threads


@contextmanager
def as_a_program() -> Iterator[None]:
    """Let workers start as those of `msbench run` do, and leave the caller's process as it was.

    A worker of multiprocessing first imports what the caller runs as its main module, which may be
    a script that calls us; so that is hidden. Variables that limit threads are for workers.
    """
    main, variables = sys.modules["__main__"], dict(os.environ)
    hidden = {k: v for k, v in main.__dict__.items() if k in ("__file__", "__spec__")}
    main.__dict__.pop("__file__", None)
    main.__spec__ = None
    limit_threads(1)
    try:
        yield
    finally:
        main.__dict__.update(hidden)
        for name in os.environ.keys() - variables.keys():
            del os.environ[name]
        os.environ.update(variables)
