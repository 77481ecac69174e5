"""What a suite asks: its [question], with what that leaves open."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from msbench.errors import did_you_mean
from msbench.spec import VARYING, Compared, Question, Suite, Trial, display_name


def question_of(suite: Suite, trials: Sequence[Trial]) -> Question:
    """The question of a suite, complete but for metrics, of which each task has its own."""
    asked = suite.question
    by = asked.by or ("optimizer" if asked.baseline else _varying(trials))
    of_optimizers = suite.baseline or display_name(suite.optimizers[0])
    return replace(
        asked,
        by=by,
        baseline=asked.baseline or (of_optimizers if by == "optimizer" else ""),
        decoder={**_first_decoders(suite, trials), **asked.decoder},
        tuned_by=suite.tuned_by,
    )


def question_problems(suite: Suite) -> Iterator[str]:
    """What is wrong with its [question]: names that stand for nothing in the suite."""
    asked, tasks = suite.question, [display_name(task) for task in suite.tasks]
    for key, of_tasks in (("metric", asked.metric), ("decoder", asked.decoder)):
        for name in of_tasks:
            if name not in tasks:
                yield f"question.{key}.{name}: no such task{did_you_mean(name, tasks)}"
    decoders = _names(suite, "decoder")
    for task, name in asked.decoder.items():
        if name not in decoders:
            yield f"question.decoder.{task}: no decoder {name!r}{did_you_mean(name, decoders)}"
    by = asked.by or "optimizer"
    if asked.baseline and asked.baseline not in (there := _names(suite, by)):
        hint = "" if asked.by else " (of another axis, say which by question.by)"
        near = did_you_mean(asked.baseline, there)
        yield f"question.baseline: no {by} {asked.baseline!r}{near}{hint}"


def _varying(trials: Sequence[Trial]) -> Compared:
    """The axis that the trials of some task differ in."""
    for axis in VARYING:
        found = {
            (display_name(trial.task), display_name(part))
            for trial in trials
            for part in (trial.decoders if axis == "decoder" else [getattr(trial, axis)])
        }
        if len(found) > len({task for task, _ in found}):
            return axis
    return VARYING[0]


def _names(suite: Suite, axis: Compared) -> Sequence[str]:
    return list(dict.fromkeys(display_name(choice) for choice in suite.choices()[axis]))


def _first_decoders(suite: Suite, trials: Iterable[Trial]) -> dict[str, str]:
    """By task, the decoder that the suite names first among those that its trials have."""
    named = _names(suite, "decoder")
    there: dict[str, set[str]] = {}
    for trial in trials:
        there.setdefault(display_name(trial.task), set()).update(map(display_name, trial.decoders))
    firsts = {task: [name for name in named if name in have] for task, have in there.items()}
    return {task: names[0] for task, names in firsts.items() if names}
