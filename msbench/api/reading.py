"""Results by name -> what is compared: the same for commands and for programs."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from msbench.compare.columns import Columns, collect
from msbench.compare.comparison import compare
from msbench.compare.rows import Comparison
from msbench.compare.shown import of_some_seeds, shown
from msbench.compare.stored import columns_of
from msbench.plugins.registry import Registry
from msbench.records.merge import gather
from msbench.records.question import joined, read_question
from msbench.records.record import Record
from msbench.records.store import find_results
from msbench.spec import Question


@dataclass
class Remarks:
    """What was found while records were read."""

    problems: list[str] = field(default_factory=list)
    """A sentence for every line that was skipped."""
    unsealed: list[str] = field(default_factory=list)
    """A sentence for every file with records that have no checksum."""


def read_columns(results: str, metric: str, remarks: Remarks) -> Columns:
    """The columns of a folder, a file or a suite's name; what is skipped is remarked.

    metric: also keep its scores per example.
    """
    return columns_of(find_results(results), metric, remarks.problems, remarks.unsealed)


def compare_results(
    results: Sequence[str], remarks: Remarks, *, seeds: Sequence[int] = (), **options: Any
) -> Comparison:
    """The comparison of one or several results; what was found while they were read is remarked.

    options: those of `compare_records`.
    """
    metric = options.get("metric", "")
    if len(results) == 1 and not seeds:
        columns = read_columns(results[0], metric, remarks)
    else:
        columns = collect(of_seeds(read_records(results, remarks), seeds), metric)
    return compare_records(columns, declared_question(*results), seeds=seeds, **options)


def compare_records(
    records: Iterable[Record] | Columns,
    question: Question | None,
    *,
    tasks: Sequence[str] = (),
    models: Sequence[str] = (),
    optimizers: Sequence[str] = (),
    seeds: Sequence[int] = (),
    **options: Any,
) -> Comparison:
    """The comparison of records, of which nothing decides if they are those of some seeds alone.

    What is not asked for by task, model and optimizer is left out after all was judged. options:
    those of `msbench.compare.compare`.
    """
    comparison = compare(records, question=question, **options)
    if seeds:
        comparison = of_some_seeds(comparison, seeds)
    return shown(comparison, {"task": tasks, "model": models, "optimizer": optimizers})


def read_records(results: Sequence[str], remarks: Remarks) -> list[Record]:
    """The records of all results together; RecordsError if a trial has other results in one than
    in another."""
    gathered = gather([find_results(name) for name in results])
    remarks.problems += gathered.problems
    remarks.unsealed += gathered.unsealed
    return list(gathered.records.values())


def of_seeds(records: Iterable[Record], seeds: Sequence[int]) -> Iterator[Record]:
    """The records of these seeds; without any, all. Searches count whole."""
    return (r for r in records if not seeds or not r.is_trained or r.trial["seed"] in seeds)


def declared_question(*results: str) -> Question | None:
    """The question that the suites of the results declared, if they hold one."""
    return joined({name: read_question(find_results(name)) for name in results})


def licences(comparison: Comparison, registry: Registry) -> dict[str, list[str]]:
    """Licences of the data of every task whose plugin is installed here."""
    tasks = {row["name"] for row in comparison.parts if row["kind"] == "task"}
    return {
        entry.name: [f"{source.package} {source.version}: {source.licence}" for source in sources]
        for entry in registry.of("task")
        if entry.name in tasks and (sources := entry.sources)
    }
