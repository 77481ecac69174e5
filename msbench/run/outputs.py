"""What decoders write for the test examples, heard where it is scored.

A trial scores every decoder once, by its task, against the references of the test split, which
nobody else has. So the task is listened to, and what runs a trial need not know that outputs are
kept: whether they are is no part of a trial.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from msbench.data.task import Scores, Task
from msbench.plugins.registry import Registry
from msbench.records.outputs import packed
from msbench.records.schema import TrialResults
from msbench.spec import Part, Trial


@dataclass
class Heard:
    """What every decoder wrote, in the order in which they were scored."""

    outputs: list[Sequence[Any] | None] = field(default_factory=list)
    """In plain words, as `Task.readable` gives them; None of decoders that write nothing."""
    problem: str = ""
    """Why there are none."""

    def pack(self, trial: Trial, results: TrialResults) -> list[str]:
        """Put them into the results, for whoever keeps the record; why they are lost, if so."""
        try:
            decoders = [each["decoder"] for each in results["decoding"]]
            if not self.problem and (kept := packed(trial.key, decoders, self.outputs)):
                results["outputs"] = kept
        except (TypeError, ValueError) as error:
            self.problem = str(error)
        return [f"its outputs were not kept: {self.problem}"] if self.problem else []


def listening(registry: Registry, heard: Heard) -> Registry:
    """The registry, whose tasks tell what is scored against their test split."""
    known = {each.name: getattr(registry, each.name) for each in fields(Registry)}
    return _Listening(**known, heard=heard)


@dataclass(frozen=True, kw_only=True)
class _Listening(Registry):
    heard: Heard

    def make_task(self, task: Part, model: Part) -> Any:
        """The task as ever, but listened to."""
        return _listened(super().make_task(task, model), self.heard)


def _listened(task: Task, heard: Heard) -> Task:
    def score(predictions: Sequence[Any], references: Sequence[Any]) -> Scores:
        if references is task.test.references:
            try:
                plain = task.readable(predictions, references) if task.readable else None
                heard.outputs.append(None if plain is None else plain[0])
            except Exception as error:  # whatever a plugin's task throws costs the outputs only
                heard.problem = f"{type(error).__name__}: {error}"
        return task.score(predictions, references)

    return replace(task, score=score)
