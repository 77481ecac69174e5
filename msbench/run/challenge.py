"""A newcomer against what others have left: it alone is trained, on the same seeds and batches."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from msbench.errors import PluginError, RecordsError
from msbench.plan.trials import Fingerprint, expected
from msbench.plan.versions import changed_libraries, changed_parts, replaced
from msbench.plugins.registry import Registry
from msbench.records.outputs import copy_outputs
from msbench.records.question import seeds_looked_for
from msbench.records.record import Record
from msbench.records.store import append, prepare_folder, read
from msbench.run.device import machine
from msbench.run.driver import stored_in
from msbench.run.replication import as_of_now, differences, sample_of
from msbench.spec import Choice, Suite, Trial, display_name


def newcomers(registry: Registry, file: str) -> list[str]:
    """The optimizers that a plugin file registers; PluginError if there is none."""
    names = [e.name for e in registry.of("optimizer") if e.plugin == Path(file).name]
    if not names:
        raise PluginError(f"{file}: registers no optimizer (register_optimizers, docs/plugins.md)")
    return names


def with_newcomers(suite: Suite, names: Sequence[str], file: str) -> Suite:
    """The suite with the newcomers beside its own optimizers."""
    choices = [Choice(name, where=f"{file}: {name}") for name in names]
    baseline = suite.baseline or display_name(suite.optimizers[0])
    return replace(suite, optimizers=(*suite.optimizers, *choices), baseline=baseline)


@dataclass(frozen=True)
class Taken:
    """The records of a suite's own optimizers."""

    records: Sequence[Record]
    again: Sequence[Trial] = ()
    """Trials to run again, since records are of other versions and were taken as if of now."""


def find_records(
    suite: Suite,
    registry: Registry,
    fingerprint: Fingerprint,
    others: Path,
    replicate: int = 0,
) -> Taken:
    """The records of all trials of a suite.

    others: where the records are. replicate: how many trials are to be run again if records are of
    other versions of code or libraries; 0 = these are refused. RecordsError if one is missing, or
    is refused: what a newcomer would be compared by is then more than the optimizer.
    """
    if seeds_looked_for(others):
        raise RecordsError(
            f"{others}: these trials were run until there was a verdict; a challenge needs the "
            f"same seeds of all (msbench run without --until-verdict)"
        )
    records = read(others).records
    given = [as_of_now(record, registry) for record in records] if replicate else records
    wanted = {t.key: t for t in expected(suite, registry, given, fingerprint) if not t.yardstick}
    found = {record.key: record for record in given if record.key in wanted}
    if missing := [trial for key, trial in wanted.items() if key not in found]:
        raise RecordsError(_refusal(suite, others, missing, len(wanted), records))
    older = wanted.keys() - {record.key for record in records}
    baseline = suite.baseline or display_name(suite.optimizers[0])
    again = sample_of((wanted[key] for key in wanted if key in older), replicate, baseline)
    return Taken(list(found.values()), again)


def put_records(folder: Path, records: Sequence[Record], others: Path) -> None:
    """Keep the records in a folder, those that are not there yet, with their outputs."""
    prepare_folder(folder)
    there = {record.key for record in stored_in(folder).records}
    for record in records:
        if record.key not in there:
            append(folder, record)
    copy_outputs([others], folder, records)


def check_replicated(taken: Taken, again: Iterable[Record], others: Path) -> str:
    """A sentence on the trials that were run again; RecordsError if they gave something else."""
    before = {record.key: record for record in taken.records}
    keys = {trial.key for trial in taken.again}
    done = [record for record in again if record.key in keys]
    if len(done) < len(keys):
        raise RecordsError(
            f"{others}: records of other versions cannot be taken: {len(keys) - len(done)} of "
            f"{len(keys)} trials that were run again left no record"
        )
    if found := differences(done, before):
        raise RecordsError(
            f"{others}: records of other versions cannot be taken: of {len(done)} trials that were "
            f"run again, some gave something else\n" + "\n".join(found)
        )
    return (
        f"records of other versions are taken: {len(done)} of {len(before)} trials were run again, "
        f"with the same losses and scores"
    )


def _refusal(
    suite: Suite, others: Path, missing: Sequence[Trial], total: int, records: Sequence[Record]
) -> str:
    """Which records cannot be used and why, and what to do."""
    outdated = replaced(missing, records)
    lines = []
    if outdated:
        parts = changed_parts(outdated)
        libraries = changed_libraries(outdated, machine()["versions"])
        lines.append(
            f"{others}: {len(outdated)} of {total} trials were run by other versions of "
            + ", ".join(parts)
            + (f" ({'; '.join(libraries)})" if libraries else "")
            + ": a difference to them would not be the optimizer's alone"
        )
    if len(missing) > len(outdated):
        lines.append(f"{others}: {len(missing) - len(outdated)} of {total} trials have no record")
    if len(missing) == len(outdated):
        lines.append("--replicate 3 takes them if three of them, run again, give the same")
    lines.append(
        f"msbench run {suite.path or suite.name} makes them anew, in results/{suite.name}; then "
        f"give --records results/{suite.name}"
    )
    return "\n".join(lines)
