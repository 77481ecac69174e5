"""A newcomer against what others have left: it alone is trained, on the same seeds and batches."""

from collections.abc import Sequence
from dataclasses import replace
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
from msbench.spec import Choice, Suite, Throughput, Trial, display_name


def newcomers(registry: Registry, file: str) -> list[str]:
    """The optimizers that a plugin file registers; PluginError if there is none."""
    names = [e.name for e in registry.of("optimizer") if e.plugin == Path(file).name]
    if not names:
        raise PluginError(f"{file}: registers no optimizer (register_optimizers, docs/plugins.md)")
    return names


def with_newcomers(suite: Suite, names: Sequence[str], file: str) -> Suite:
    """The suite with the newcomers beside its own optimizers, without measuring throughput: speeds
    of other times are not compared."""
    choices = [Choice(name, where=f"{file}: {name}") for name in names]
    baseline = suite.baseline or display_name(suite.optimizers[0])
    return replace(
        suite,
        optimizers=(*suite.optimizers, *choices),
        baseline=baseline,
        throughput=Throughput(rounds=0),
    )


def take_records(
    suite: Suite,
    registry: Registry,
    fingerprint: Fingerprint,
    names: Sequence[str],
    others: Path,
    folder: Path,
) -> list[Record]:
    """The records of the suite's own optimizers, which are put into the folder of the challenge.

    names: the newcomers. others: where the records are. RecordsError if one is missing, or of
    other versions of code or libraries: what they would be compared by is then more than the
    optimizer.
    """
    if seeds_looked_for(others):
        raise RecordsError(
            f"{others}: these trials were run until there was a verdict; a challenge needs the "
            f"same seeds of all (msbench run without --until-verdict)"
        )
    records = read(others).records
    every = expected(suite, registry, records, fingerprint)
    wanted = [trial for trial in every if not (trial.yardstick or trial.optimizer.name in names)]
    keys = {trial.key for trial in wanted}
    found = [record for record in records if record.key in keys]
    known = {record.key for record in found}
    if missing := [trial for trial in wanted if trial.key not in known]:
        raise RecordsError(_refusal(suite, others, missing, len(wanted), records))
    prepare_folder(folder)
    there = {record.key for record in stored_in(folder).records}
    for record in found:
        if record.key not in there:
            append(folder, record)
    copy_outputs([others], folder, found)
    return found


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
    lines.append(
        f"msbench run {suite.path or suite.name} makes them anew, in results/{suite.name}; then "
        f"give --records results/{suite.name}"
    )
    return "\n".join(lines)
