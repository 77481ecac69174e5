"""Progress of a command that signals may end."""

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing
from typing import Any

from msbench.api.progress import Display
from msbench.api.standings import Standings
from msbench.cli.interrupts import Stop, interruptible
from msbench.records.record import Record
from msbench.run.events import Event, Finished
from msbench.spec import Trial


def show_progress(
    events: Generator[Event, None, None],
    stop: Stop,
    finished: Callable[[Record], Any] = lambda record: None,
    trials: Sequence[Trial] = (),
) -> Event | None:
    """Show how far jobs are, which did not end ok and who is ahead; return the last event.

    Signals end the jobs and raise Interrupted; Ctrl-C once wants them to `stop` first. finished:
    is given every record. trials: those that are planned, to be told apart by their names.
    """
    event = None
    with interruptible(stop), closing(events), ExitStack() as bars:
        display = Display(bars, Standings(trials))
        for event in events:
            display.show(event)
            stop.in_flight = display.running
            if isinstance(event, Finished):
                finished(event.record)
    return event
