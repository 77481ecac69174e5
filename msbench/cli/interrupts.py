"""What Ctrl-C and SIGTERM do to a command that trains."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from msbench.cli.output import INTERRUPTED


def quit_on_interrupt() -> None:
    """Let Ctrl-C end the program at once, while there is nothing to save.

    An exception would surface anywhere, such as in the middle of an import.
    """

    def leave(*_: Any) -> NoReturn:
        os.write(2, b"msbench: interrupted\n")
        os._exit(INTERRUPTED)

    signal.signal(signal.SIGINT, leave)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM raise KeyboardInterrupt inside: workers are ended, records kept."""
    signals = (signal.SIGTERM, signal.SIGINT)
    handlers = {each: signal.signal(each, signal.default_int_handler) for each in signals}
    try:
        yield
    finally:
        for each, handler in handlers.items():
            signal.signal(each, handler)
