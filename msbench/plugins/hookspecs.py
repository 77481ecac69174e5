"""The contract with plugin authors: hooks that register parts, and do nothing else.

Each hook gets one function, `register(name, factory, ...)`. A factory may be given as
`"module:attribute"`, which is imported only when the part is used, so that listing stays fast.
Behaviour lives in what the factory returns; docs/plugins.md has the contract of each kind.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

import pluggy

VERSION = 2
"""Of the contract. A plugin may say which one it was written for, `MSBENCH_CONTRACT = 2`; those for
an earlier one keep working as docs/contract.md says, and those for a later one are refused."""

hookspec = pluggy.HookspecMarker("msbench")

hookimpl = pluggy.HookimplMarker("msbench")
"""Marks a plugin's hooks: `@msbench.hookimpl`."""

Steps = Literal["", "memory", "passes", "slow-weights", "batch", "decoding"]
"""How a strategy is multi-step; empty for single-step."""

Factory = Callable[..., Any] | str


class Register(Protocol):
    """What every hook receives. A name that two plugins claim is an error."""

    def __call__(
        self,
        name: str,
        factory: Factory,
        *,
        idea: str = "",
        paper: str = "",
        steps: Steps = "",
        passes: float = 1,
        base: str = "",
        helps: str = "",
        space: Mapping[str, Sequence[Any]] | None = None,
        fits: Sequence[str] = (),
        learner: str = "torch",
        sources: Sequence[Any] = (),
        fixed: bool = False,
        preload: Sequence[str] = (),
        streams: bool = False,
        settings: Mapping[str, tuple[Any, Any]] | None = None,
        tokenizer: Factory = "",
        reads_targets: bool = False,
    ) -> None:
        """Register a part.

        name: how suites call it; lower case with hyphens.
        factory: a function (or class) whose parameters are the part's options.
        idea: one line for a reader who has to choose. paper: where the method comes from.
        steps, passes: how it is multi-step, and the passes one step costs (optimizers).
        base: the single-step part that `msbench claims` compares it with. An optimizer with an
            option `base` is compared with the optimizer chosen there.
        helps: one sentence on when it tends to help, and who found so.
        space: what tuning searches (optimizers, schedules), `{"lr": (1e-4, 1e-1, "log")}`; also
            "linear", "int", "choice".
        fits: the task kinds it works on (for a task: its own kind); empty = all.
        learner: the framework it is written for (models, losses, optimizers, decoders).
        sources: the archives a task reads (`msbench.Source`).
        fixed: a task whose data follow from its options, its sources and its code alone, and not
            from files elsewhere: what its data are is then found out once, and remembered.
        preload: modules worth importing once, before trials fork, such as a framework; nothing else
            of a plugin is imported in a process that trials share.
        streams: a decoder whose first tokens are final as soon as they are written.
        settings: of a learner: what its framework has for the whole process, by name a function
            that reads it (without importing the framework) and one that writes it. What a plugin
            changes of it is put back.
        tokenizer: of a model whose weights know one vocabulary only: a factory, which gets those of
            the model's options that it has parameters for, and returns an `msbench.Tokenizer`, or
            None where the task may learn its own. Tasks are prepared with it for this model, as
            their option `vocabulary`.
        reads_targets: of a decoder of `lm` tasks that generates nothing and says how likely the
            texts are: it is given them. From all others they are withheld.
        """


@hookspec
def register_tasks(register: Register) -> None:
    """Tasks: `factory(**options) -> msbench.Task`."""


@hookspec
def register_models(register: Register) -> None:
    """Models: `factory(task, **options)` -> what the learner trains; `forward(batch) -> logits`."""


@hookspec
def register_losses(register: Register) -> None:
    """Losses: `factory([task,] **options) -> (model, batch) -> (sum over units, their count)`."""


@hookspec
def register_optimizers(register: Register) -> None:
    """Optimizers: `factory(model, [base,] **options)`; the loop only says `step(closure)`."""


@hookspec
def register_schedules(register: Register) -> None:
    """Schedules: `factory(**options) -> (share of the budget spent) -> learning rate factor`."""


@hookspec
def register_decoders(register: Register) -> None:
    """Decoders: `factory([task,] **options) -> (model, batch) -> predictions`."""


@hookspec
def register_metrics(register: Register) -> None:
    """Metrics: `factory(**options) -> msbench.Measure`, for suites that ask for them by name."""


@hookspec
def register_learners(register: Register) -> None:
    """Learners: `factory(task, *, model, loss, optimizer, seed, ...) -> msbench.Learner`."""


@hookspec
def register_launchers(register: Register) -> None:
    """Launchers: `factory(**options) -> (jobs, run, *, limit, preload) -> jobs and records`."""


@hookspec
def register_observers(register: Register) -> None:
    """Observers: `factory([folder,] **options) -> (event) -> None`, told all events of a run."""


@hookspec
def register_commands(register: Register) -> None:
    """Commands: a click command that joins `msbench --help`."""
