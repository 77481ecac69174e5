"""Records of the same work in other versions of code or libraries."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msbench.plugins.parts import trial_parts
from msbench.records.record import Record
from msbench.spec import Trial, display_name

Replaced = Sequence[tuple[Record, Trial]]
"""Records, each with the trial that does its work again in the versions of now."""


def replaced(trials: Sequence[Trial], records: Iterable[Record]) -> Replaced:
    """The records of other versions whose work is among these trials."""
    keys = {trial.key for trial in trials}
    others = [r for r in records if r.is_trial and r.key not in keys]
    if not others:
        return []
    now = {trial.work: trial for trial in trials}
    pairs = [(record, now.get(Trial.of(record.job).work)) for record in others]
    return [(record, trial) for record, trial in pairs if trial is not None]


def changed_parts(pairs: Replaced) -> list[str]:
    """The parts whose versions differ, as "optimizer adamw"."""
    return sorted({each for record, trial in pairs for each in _changed(record, trial)})


def changed_libraries(pairs: Replaced, versions: Mapping[str, str]) -> list[str]:
    """The libraries that records name in other versions than those of now, with both."""
    return sorted(
        {
            f"{name} {before}, now {versions[name]}"
            for record, _ in pairs
            for name, before in (record.machine.get("versions") or {}).items()
            if versions.get(name, before) != before
        }
    )


def _changed(record: Record, trial: Trial) -> Iterator[str]:
    """Parts of the trial, those inside of others and of phases included, that the record has in
    another version. Its decoders may be others."""
    before = {(kind, part.name, part.version) for kind, part in trial_parts(Trial.of(record.job))}
    for kind, part in trial_parts(trial):
        if (kind, part.name, part.version) not in before:
            yield f"{kind} {display_name(part)}"
