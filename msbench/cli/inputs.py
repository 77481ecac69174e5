"""What commands read: plugins and records."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from msbench.cli.output import say, say_skipped

if TYPE_CHECKING:
    from msbench.compare.columns import Columns
    from msbench.compare.rows import Comparison
    from msbench.plugins.registry import Registry
    from msbench.spec import Question


def installed() -> "Registry":
    """The parts of all installed plugins; those that cannot be loaded are not mentioned."""
    from msbench.plugins.loading import ALLOW_LIST

    return _allowed(os.environ.get(ALLOW_LIST))


@cache
def _allowed(listed: str | None) -> "Registry":
    """Those that MSBENCH_PLUGINS allows, which is `listed` now."""
    from msbench.plugins.loading import load_plugins

    return load_plugins()


def load_registry(files: Sequence[str]) -> "Registry":
    """The parts of all installed plugins and of the given files.

    Prints a message for every installed plugin that cannot be loaded. PluginError names a file that
    cannot be.
    """
    from msbench.plugins.first_load import check_first_file
    from msbench.plugins.loading import ALLOW_LIST, load_plugins

    for file in files:
        check_first_file(file)
    registry = load_plugins(dict.fromkeys(files)) if files else installed()
    for name, reason in registry.broken.items():
        say(f"plugin {name} is not loaded: {reason}")
        say(
            f"without this message: pip uninstall {name}, {ALLOW_LIST} with the plugins to load, "
            f"or --no-plugins"
        )
    return registry


@dataclass
class Remarks:
    """What was found while records were read."""

    problems: list[str] = field(default_factory=list)
    """A sentence for every line that was skipped."""
    unsealed: list[str] = field(default_factory=list)
    """A sentence for every file with records that have no checksum."""


def read_columns(results: str, metric: str, remarks: Remarks) -> "Columns":
    """The columns of a folder, a file or a suite's name; what is skipped is remarked and printed.

    metric: also keep its scores per example.
    """
    from msbench.compare.stored import columns_of
    from msbench.records.store import find_results

    try:
        return columns_of(find_results(results), metric, remarks.problems, remarks.unsealed)
    finally:
        say_skipped(remarks.problems, remarks.unsealed)


def compare_results(
    *results: str,
    tasks: Sequence[str] = (),
    models: Sequence[str] = (),
    optimizers: Sequence[str] = (),
    seeds: Sequence[int] = (),
    **options: Any,
) -> "tuple[Comparison, Remarks]":
    """The comparison of one or several results, and what was found while they were read.

    What is not asked for by task, model and optimizer is left out after all was judged; seeds are
    before, and then nothing decides. options: the others of `comparison_options`.
    """
    from msbench.compare.comparison import compare
    from msbench.compare.shown import of_some_seeds, shown
    from msbench.records.question import joined

    remarks, metric = Remarks(), options.get("metric", "")
    if len(results) == 1 and not seeds:
        columns = read_columns(results[0], metric, remarks)
    else:
        columns = _read_some(results, seeds, metric, remarks)
    question = joined({str(path): declared_question(path) for path in results})
    comparison = compare(columns, question=question, **options)
    if seeds:
        comparison = of_some_seeds(comparison, seeds)
    only = {"task": tasks, "model": models, "optimizer": optimizers}
    return shown(comparison, only), remarks


def _read_some(
    results: Sequence[str], seeds: Sequence[int], metric: str, remarks: Remarks
) -> "Columns":
    """The columns of several results together, or of some seeds; searches count whole.

    RecordsError if a trial has other results in one than in another.
    """
    from msbench.compare.columns import collect
    from msbench.records.merge import gather
    from msbench.records.store import find_results

    gathered = gather([find_results(name) for name in results])
    remarks.problems += gathered.problems
    remarks.unsealed += gathered.unsealed
    say_skipped(remarks.problems, remarks.unsealed)
    records = gathered.records.values()
    return collect(
        (r for r in records if not seeds or not r.is_trained or r.trial["seed"] in seeds), metric
    )


def declared_question(results: str) -> "Question | None":
    """The question that the suite declared, if the results hold one."""
    from msbench.records.question import read_question
    from msbench.records.store import find_results

    return read_question(find_results(results))
