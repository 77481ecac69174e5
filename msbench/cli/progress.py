"""Live progress on the error stream: a bar on a terminal, plain lines elsewhere."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from time import monotonic
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from msbench.errors import printable
from msbench.records.record import Record
from msbench.run.driver import Event, Finished, Stage, Started


@contextmanager
def show_progress() -> Iterator["Display"]:
    """What events are shown by for as long as the block runs."""
    with ExitStack() as bars:
        yield Display(bars)


class Display:
    """Shows how far the jobs of a stage are, and what did not end ok."""

    def __init__(self, bars: ExitStack):
        self._console = Console(stderr=True, soft_wrap=True)
        self._bars = bars
        self._bar: Progress | None = None
        self._tally = _Tally("", 0)

    def show(self, event: Event) -> None:
        """Show what happened."""
        if isinstance(event, Stage):
            self._begin(event)
        elif isinstance(event, Started):
            self._tally.running += 1
        elif isinstance(event, Finished):
            self._finish(event.record)

    def _begin(self, stage: Stage) -> None:
        self._bars.close()
        self._tally = _Tally(stage.title, stage.total)
        if self._console.is_terminal:
            columns = (_TallyColumn(), BarColumn(), TimeElapsedColumn())
            self._bar = self._bars.enter_context(Progress(*columns, console=self._console))
            self._bar.add_task("", total=stage.total, tally=self._tally)

    def _finish(self, record: Record) -> None:
        self._tally.done += 1
        self._tally.running -= 1
        if record.status != "ok" or record.reason:  # names and reasons are a plugin's: never markup
            line = f"{_job_name(record)}: {record.status}: {record.reason}"
            self._console.print(Text(printable(line)))
        if self._bar is not None:
            self._bar.advance(self._bar.task_ids[0])
        else:
            self._console.print(Text(printable(f"{self._tally} ({_job_name(record)})")))


class _Tally:
    """How many jobs are done and running, and how long the rest will take."""

    def __init__(self, title: str, total: int):
        self.title, self.total = title, total
        self.done = self.running = 0
        self.since = monotonic()

    def __str__(self) -> str:
        spent = monotonic() - self.since
        worked = self.done + self.running / 2  # the running ones are half done, on average
        left = f", about {_duration(spent * (self.total - worked) / max(worked, 0.5))} left"
        counts = f"{self.done} of {self.total} done, {self.running} running"
        return f"{self.title}: {counts}{left if self.done else ''}"


class _TallyColumn(TextColumn):
    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Any) -> Text:
        return Text(str(task.fields["tally"]))


def _job_name(record: Record) -> str:
    if not record.is_trial:
        return str(record.job["strategies"][0]["task"]["name"])
    job = record.job
    point = f"point {job['tuned']['point'] + 1}, " if record.is_search else ""
    return f"{job['task']['name']}, {job['optimizer']['name']}, {point}seed {job['seed']}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
