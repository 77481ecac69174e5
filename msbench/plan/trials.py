"""Suite -> trials. Everything that can be wrong in a suite is said here, all of it at once."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from math import prod
from typing import Any

from msbench.errors import SuiteError
from msbench.plan.batch_sizes import budgeted
from msbench.plan.checkpoints import checkpoint_problems
from msbench.plan.known import keep_known, resolved_part
from msbench.plan.limits import too_many
from msbench.plan.modes import mode_problems
from msbench.plan.processes import processes_problems
from msbench.plan.resolve import Parts, Resolved, fit_problems, fits, resolve_suite
from msbench.plan.tuning import plan_searches, tune
from msbench.plan.until_verdict import asked_for
from msbench.plan.yardsticks import yardstick_cells, yardstick_problems
from msbench.plugins.code import code_of
from msbench.plugins.parts import prepared_from
from msbench.plugins.registry import Registry
from msbench.records.record import Record
from msbench.spec import (
    AXES,
    Choice,
    Measurement,
    Part,
    Phase,
    Suite,
    Trial,
    digest,
    display_name,
)

Fingerprint = Callable[..., str]
"""Task part, and that of a model if it brings a tokenizer -> fingerprint of the prepared data."""


def plan(
    suite: Suite, registry: Registry, records: Iterable[Record], fingerprint: Fingerprint
) -> list[Trial]:
    """The trials of `suite` that have no record yet and can be done now, seed by seed.

    With tuning, final trials can be done once their search is in: ask again with its records.
    """
    done = {record.key: record for record in records}
    trials = expected(suite, registry, done.values(), fingerprint)
    return [trial for trial in trials if trial.key not in done]


def expected(
    suite: Suite, registry: Registry, records: Iterable[Record], fingerprint: Fingerprint
) -> list[Trial]:
    """All trials that belong to `suite` as far as `records` decide, done or not.

    SuiteError lists every problem with file, key and the nearest name; `fingerprint` (which
    reads data) is only asked when there is none.
    """
    parts, problems = resolve_suite(suite, registry)
    problems = problems or _size_problems(suite, parts) or fit_problems(suite, registry, parts)
    problems = problems or mode_problems(suite, registry, parts)
    problems = problems or checkpoint_problems(suite, registry, parts)
    problems = problems or processes_problems(suite, registry, parts)
    problems += yardstick_problems(suite, registry, parts)
    searches, search_problems = plan_searches(suite, registry) if not problems else ({}, [])
    if problems or search_problems:
        raise SuiteError(problems or search_problems)
    keep_known()
    done = {record.key: record for record in records}
    cells = list(_cells(suite, registry, parts, fingerprint))
    held = yardstick_cells(suite, registry, parts, fingerprint)
    yardsticks = [cell(seed=min(suite.seeds)) for cell in held]
    trials: Iterable[Trial] = (cell(seed=seed) for seed in suite.seeds for cell in cells)
    if suite.tuning is not None:
        trials = tune(suite.tuning, cells, suite.seeds, searches, done)
    keep_known()
    every = list({trial.key: trial for trial in trials}.values())
    if suite.question.max_seeds:
        every = asked_for(suite, every, done)
    return [*every, *yardsticks]


MEASURES = "msbench.run.throughput"
"""What measures: speeds of other code are not compared with those of this."""


def measurements(suite: Suite, trials: Sequence[Trial]) -> list[Measurement]:
    """What to time, apart from the trials: per task and model, all strategies side by side."""
    if not suite.throughput.rounds or suite.processes > 1:
        return []
    groups: dict[str, list[Trial]] = {}
    first = min(suite.seeds)
    for trial in trials:
        # At equal steps, or over equal examples, a strategy is as fast as at equal passes.
        if trial.yardstick or trial.is_search or not trial.training.has_equal_passes:
            continue
        if trial.seed == first:
            groups.setdefault(digest([trial.task, trial.model]), []).append(trial)
    base = suite.baseline or display_name(suite.optimizers[0])
    return [
        Measurement(
            tuple(sorted(group, key=lambda t: (display_name(t.optimizer) != base, t.key))),
            suite.throughput,
            code_of([MEASURES]).digest,
        )
        for group in groups.values()
    ]


def with_overrides(
    suite: Suite,
    *,
    seeds: int | None,
    device: str | None,
    workers: int | None,
    max_seeds: int | None = None,
) -> Suite:
    """The suite with what the command line says instead."""
    if seeds is not None:
        if problems := too_many("trials", seeds):
            raise SuiteError([f"--seeds: {problem}" for problem in problems])
        suite = replace(suite, seeds=tuple(range(seeds)))
        suite = replace(suite, question=replace(suite.question, max_seeds=0))
    if max_seeds is not None:
        suite = replace(suite, seeds=tuple(range(max_seeds)))
        suite = replace(suite, question=replace(suite.question, max_seeds=max_seeds))
    if device is not None:
        suite = replace(suite, device=device)
    if workers is not None:
        options = {**suite.launcher.options, "workers": workers}
        suite = replace(suite, launcher=replace(suite.launcher, options=options))
    return suite


def _size_problems(suite: Suite, parts: Parts) -> list[str]:
    """Whether it stands for too many trials, told without making one."""
    cells = sum(
        prod(sum(fits(each, task) for each in parts[kind]) for kind in AXES[1:])
        for task in parts["task"]
    )
    searched = suite.tuning.trials_each if suite.tuning else 0
    count = cells * (len(suite.seeds) + searched)
    return [f"{suite.path}: {problem}" for problem in too_many("trials", count)]


def _cells(
    suite: Suite, registry: Registry, parts: Parts, fingerprint: Fingerprint
) -> Iterator[partial[Trial]]:
    """Every combination of parts that fit each other: trials but for their seed."""
    learners = {
        name: resolved_part(registry, "learner", Choice(name))
        for name in {model.entry.learner for model in parts["model"]}
    }
    phases = tuple(_resolved_phase(registry, phase) for phase in suite.phases)
    for task in parts["task"]:
        fitting = [[each for each in parts[axis] if fits(each, task)] for axis in AXES[1:]]
        for combination in product(*fitting):
            chosen = dict(zip(AXES, (task, *combination), strict=True))
            framework = chosen["model"].entry.learner
            if {chosen["loss"].entry.learner, chosen["optimizer"].entry.learner} != {framework}:
                continue
            data = fingerprint(*prepared_from(registry, task.part, chosen["model"].part))
            own: dict[str, Any] = {axis: each.part for axis, each in chosen.items()}
            yield partial(
                Trial,
                **own,
                decoders=_decoders(parts["decoder"], task, framework),
                metrics=_unique([each.part for each in parts["metric"] if fits(each, task)]),
                learner=learners[framework],
                training=budgeted(
                    suite.training[display_name(task.choice)], chosen["optimizer"].choice
                ),
                device=suite.device,
                threads=suite.threads,
                processes=suite.processes,
                sharded=suite.sharded,
                dtype=suite.dtype,
                data=data,
                phases=phases,
            )


def _decoders(decoders: Sequence[Resolved], task: Resolved, framework: str) -> tuple[Part, ...]:
    """The decoders for a task, ordered by digest; one that two entries name counts once."""
    return _unique([d.part for d in decoders if fits(d, task) and d.entry.learner == framework])


def _unique(parts: Sequence[Part]) -> tuple[Part, ...]:
    """The parts ordered by digest, each once."""
    unique = {digest(part): part for part in parts}
    return tuple(unique[each] for each in sorted(unique))


def _resolved_phase(registry: Registry, phase: Phase) -> Phase:
    parts = {kind: resolved_part(registry, kind, choice) for kind, choice in phase.parts().items()}
    return Phase(phase.passes, **parts)
