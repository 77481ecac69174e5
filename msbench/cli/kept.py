"""What commands read of outputs that trials have kept."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from msbench.compare.outputs import Writer
    from msbench.compare.rows import Comparison
    from msbench.compare.side_by_side import Examples, Outputs
    from msbench.plugins.registry import Registry
    from msbench.records.record import Record
    from msbench.spec import Question


def kept_records(results: Sequence[str]) -> "list[tuple[Path, Record]]":
    """All records, each with the folder or file that it is from."""
    from msbench.records.store import find_results, read

    paths = [find_results(name) for name in results]
    return [(path, record) for path in paths for record in read(path).records]


def question_of(results: Sequence[str]) -> "Question | None":
    """What several results ask together; RecordsError if they contradict each other."""
    from msbench.records.question import joined, read_question
    from msbench.records.store import find_results

    return joined({name: read_question(find_results(name)) for name in results})


def outputs_of(
    results: Sequence[str], comparison: "Comparison", **asked: Any
) -> "tuple[list[Writer], list[str]]":
    """Who wrote what in these results (`compare.outputs.writers`), and what is wrong with files."""
    from msbench.compare.outputs import writers

    problems: list[str] = []
    return writers(kept_records(results), comparison, problems, **asked), problems


def examples_by(registry: "Registry") -> "Callable[[Writer], Examples]":
    """What gets the examples of a writer's task, and fetches their data."""
    from msbench.data.download import fetch_with_bar
    from msbench.run.examples import examples_of

    ask = partial(examples_of, registry=registry, fetch=fetch_with_bar)
    return lambda writer: ask(writer.record)


def highlighted(
    results: Sequence[str], comparison: "Comparison", registry: "Registry", seeds: Sequence[int]
) -> "Outputs | None":
    """Examples for a page, if outputs were kept; nothing is fetched for them, and what is missing
    is noted."""
    from msbench.compare.side_by_side import Outputs, chosen_rows, highlights
    from msbench.errors import MsbenchError
    from msbench.records.outputs import folder_of
    from msbench.records.store import find_results
    from msbench.run.examples import examples_of

    if not any(folder_of(find_results(name)).is_dir() for name in results):
        return None
    lost: list[str] = []

    def ask(writer: "Writer") -> "Examples | None":
        try:
            return examples_of(writer.record, registry, fetch=None)
        except MsbenchError as error:
            lost.append(f"{writer.axes['task']}: no sources and references: {error}")
            return None

    try:
        found, problems = outputs_of(results, comparison, seeds=seeds)
        outputs = chosen_rows(found, highlights, ask)
    except MsbenchError as error:
        return Outputs((), str(error).splitlines())
    return replace(outputs, notes=[*problems, *lost])
