"""What Ctrl-C, SIGTERM and a closed terminal do to a command that trains."""

import os
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

FINISHING = "\nmsbench: finishing what is running ({}); Ctrl-C again ends it now\n"


class Interrupted(KeyboardInterrupt):
    """A signal asked for the end of the program."""

    def __init__(self, number: int = signal.SIGINT):
        self.exit_code = 128 + number


class Stop:
    """Whether the end of a run is wanted, and how many of its rows are in flight."""

    def __init__(self) -> None:
        self.wanted = False
        self.in_flight = 0

    def is_wanted(self) -> bool:
        """Whether no row should be started any more."""
        return self.wanted


def farewell() -> str:
    """What an interrupted command says: how it goes on."""
    as_module = Path(sys.argv[0]).name == "__main__.py"  # python -m msbench
    command = sys.orig_argv if as_module else sys.argv
    return f"interrupted; what is done is kept, and this goes on: {shlex.join(command)}"


def quit_on_interrupt() -> None:
    """Let signals end the program at once, while there is nothing to save.

    An exception would surface anywhere, such as in the middle of an import.
    """

    def leave(number: int, _: Any) -> NoReturn:
        with suppress(OSError):  # the terminal may be gone
            os.write(2, f"msbench: {farewell()}\n".encode())
        os._exit(128 + number)

    _handle(leave)


@contextmanager
def interruptible(stop: Stop) -> Iterator[None]:
    """Let signals raise Interrupted inside: workers are ended, records kept.

    The first Ctrl-C only asks for the end, as long as there are rows in flight.
    """

    def handle(number: int, _: Any) -> None:
        if number == signal.SIGINT and stop.in_flight and not stop.wanted:
            stop.wanted = True
            with suppress(OSError):
                os.write(2, FINISHING.format(stop.in_flight).encode())
            return
        if number == signal.SIGHUP:
            _leave_terminal()
        for each in SIGNALS:  # the end takes no longer than workers take to die
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted(number)

    before = _handle(handle)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _leave_terminal() -> None:
    """If it is closed, write to nowhere from now on, since every message would be an error."""
    try:
        os.write(2, b"\nmsbench: SIGHUP, as when a terminal closes\n")
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for output in (1, 2):
            os.dup2(nowhere, output)


def _handle(handler: Any) -> dict[signal.Signals, Any]:
    """Handle all signals but those that somebody, such as nohup, has told to be ignored."""
    wanted = [each for each in SIGNALS if signal.getsignal(each) is not signal.SIG_IGN]
    return {each: signal.signal(each, handler) for each in wanted}
