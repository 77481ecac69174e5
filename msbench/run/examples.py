"""The test examples that outputs are of, as people read them: from the task, never from records."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from msbench.compare.outputs import Text
from msbench.compare.side_by_side import Examples
from msbench.data.sources import Source, check
from msbench.data.task import BEGIN, END, PAD, Split, Task
from msbench.data.tokenizer import Tokenizer
from msbench.errors import DataError, MsbenchError, PluginError, RecordsError
from msbench.plugins.registry import Registry
from msbench.records.record import Record
from msbench.spec import Trial

Fetch = Callable[[Source], Any]


def examples_of(record: Record, registry: Registry, fetch: Fetch | None) -> Examples:
    """Sources and references of the test split that a trial was measured on.

    fetch: brings archives that are missing; None leaves them. RecordsError if the data are not
    those of the trial any more; DataError or PluginError if they cannot be had.
    """
    trial = Trial.of(record.job)
    task = tested(trial, registry, fetch)
    sources = _sources(task, trial, registry)
    return Examples(sources or [""] * len(task.test), references_of(task))


def tested(trial: Trial, registry: Registry, fetch: Fetch | None) -> Task:
    """The task of a trial, of the data that the trial had; errors as in `examples_of`."""
    name = trial.task.label or trial.task.name
    for source in registry.sources(trial.task):
        if check(source) != "ok":
            if fetch is None:
                raise DataError(f"task {name!r}: its data are not here (msbench data get)")
            fetch(source)
    try:
        task: Task = registry.make_task(trial.task, trial.model)
    except MsbenchError:
        raise
    except (Exception, SystemExit) as error:
        reason = f"{type(error).__name__}: {error}"
        raise PluginError(
            f"task {name!r} of {trial.task.plugin} cannot be made: {reason}"
        ) from error
    if (now := task.fingerprint()) != trial.data:
        raise RecordsError(
            f"task {name!r}: its data are {now} now, and those that trial {trial.key} was tested "
            f"on were {trial.data}, so outputs cannot be put beside them: bring those data back"
        )
    return task


def references_of(task: Task) -> list[Text]:
    """The references of the test split in plain words."""
    assert task.readable is not None
    plain = task.readable(_nothing(task), task.test.references)
    assert plain is not None
    return list(plain[1])


def _nothing(task: Task) -> list[Any]:
    """Predictions that say nothing, since `readable` takes predictions and references together."""
    blank: Any = []
    if task.kind == "classify":
        blank = 0
    elif task.kind == "tag" and task.test.source is not None:
        blank = [0] * task.test.source.shape[1]
    return [blank] * len(task.test)


def _sources(task: Task, trial: Trial, registry: Registry) -> list[Text] | None:
    """As they were given, where the task has them; else as a model reads them; None for neither."""
    split = task.test
    if task.texts and len(task.texts.splits["test"]) == len(split):
        return [source for source, _ in task.texts.splits["test"]]
    if task.kind == "tag":
        return _words(trial, registry, len(split))
    return _spelled(task, split) if task.spell else None


def _spelled(task: Task, split: Split) -> list[Text] | None:
    if split.source is None or task.spell is None:
        return None
    ids = [[each for each in row if each not in (PAD, BEGIN, END)] for row in split.source.tolist()]
    return list(task.spell(ids, split.spelling or [None] * len(ids)))


def _words(trial: Trial, registry: Registry, count: int) -> list[Text] | None:
    """The words of the test split of a `tag` task, which has no texts: they are read where it is
    prepared, as a tokenizer that a model brings would read them."""
    reader = _Reader("reader", _refuse, _refuse, 1)
    try:
        registry.build("task", trial.task)(vocabulary=reader)
    except _Read:
        return list(reader.splits[-1]) if len(reader.splits[-1]) == count else None
    except Exception:  # a task that takes no tokenizer, or whatever a plugin's throws
        return None
    return None


class _Read(Exception):
    """All is read."""


def _refuse(texts: Any) -> NoReturn:
    raise _Read


@dataclass(frozen=True)
class _Reader(Tokenizer):
    """A tokenizer that remembers what it is given of the three splits, and stops there."""

    splits: list[Sequence[Sequence[str]]] = field(default_factory=list)

    def words(self, texts: Sequence[Sequence[str]]) -> list[list[tuple[int, int | None]]]:
        """Nothing."""
        self.splits.append([list(each) for each in texts])
        if len(self.splits) == 3:
            raise _Read
        return [[] for _ in texts]
