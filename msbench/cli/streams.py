"""Output streams that lack letters, room or a reader."""

import codecs
import io
import os
import sys
from contextlib import suppress

CLOSED = 141
"""The exit code where nobody reads any more: what SIGPIPE would leave."""


def escape_what_cannot_be_printed() -> None:
    """Let both streams write what their encoding lacks as JSON escapes (`\\u00e9`): in ASCII or
    latin-1, and of names that are no Unicode, they would end the command with a traceback."""
    codecs.register_error("msbench", _escaped)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="msbench")


def _escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    import json  # late: msbench --help loads this file

    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


def flush() -> None:
    """Write what is left of the output now, while it can still be said that it cannot be."""
    if sys.stdout is not None and not sys.stdout.closed:
        sys.stdout.flush()


def drop_output() -> None:
    """Write no more: a closed pipe or a full disk would be an error again when Python ends."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
