"""Live progress on the error stream: a bar on a terminal, plain lines elsewhere."""

from contextlib import ExitStack
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from msbench.api.standings import Standings
from msbench.errors import printable
from msbench.records.record import Record
from msbench.run.events import Event, Finished, Stage, Started, Waiting


class Display:
    """One bar or sequence of lines for each stage."""

    def __init__(self, bars: ExitStack, standings: Standings):
        self._standings = standings
        self._console = Console(stderr=True, soft_wrap=True)
        self._bars = bars
        self._bar: Progress | None = None
        self._tally = _Tally("", 0)

    @property
    def running(self) -> int:
        """How many jobs are in flight."""
        return len(self._tally.started)

    def show(self, event: Event) -> None:
        """What an event changes."""
        if isinstance(event, Stage):
            self._begin(event)
        elif isinstance(event, Started):
            self._tally.started.add(event.job.key)
        elif isinstance(event, Waiting):
            self.say(f"{self._tally.title}: {event.jobs} left, being done by {event.others}")
        elif isinstance(event, Finished):
            self._finish(event.record)

    def _begin(self, stage: Stage) -> None:
        self._bars.close()
        self._tally = _Tally(stage.title, stage.total)
        if self._console.is_terminal:
            tally = TextColumn("{task.fields[tally]}", markup=False)
            bar = Progress(tally, BarColumn(), TimeElapsedColumn(), console=self._console)
            self._bar = self._bars.enter_context(bar)
            self._bar.add_task("", total=stage.total, tally=self._tally)

    def _finish(self, record: Record) -> None:
        self._tally.done += 1
        self._tally.started.discard(record.key)
        name, score = self._standings.name(record), self._standings.add(record)
        if record.is_lost or (record.reason and record.status == "ok"):
            self.say(f"{name}: {record.status}: {record.reason}")
        if self._bar is not None:
            self._bar.advance(self._bar.task_ids[0])
            if self._standings.news:
                self.say(self._standings.news)
        else:
            self.say(f"{self._tally} ({name}{score and f': {score}'})")

    def say(self, line: str) -> None:
        """A line above the bar."""
        self._console.print(Text(printable(line)))  # names come from plugins: never as markup


class _Tally:
    """How many jobs are done and running, and how long the rest will take."""

    def __init__(self, title: str, total: int):
        self.title, self.total = title, total
        self.done = 0
        self.started: set[str] = set()
        """Keys of the jobs that are running."""
        self._start = monotonic()

    def __str__(self) -> str:
        counts = f"{self.title}: {self.done} of {self.total} done, {len(self.started)} running"
        return f"{counts}, about {_duration(self._seconds_left())} left" if self.done else counts

    def _seconds_left(self) -> float:
        worked = self.done + len(self.started) / 2  # running jobs are half done, on average
        return (monotonic() - self._start) * (self.total - worked) / worked


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
