"""Whether steps can be captured, told without a GPU: they are recorded on a tape, and replayed.

A step that reads a number on the host, or that the host gives other numbers each time, is found in
the recordings; anything else that a replay would get wrong is found by what it leads to, compared
with the same steps taken eagerly.
"""

import math
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from torch import nn

from msbench import (
    BEGIN,
    END,
    IGNORE,
    TEXT_SCORES,
    Batch,
    Scores,
    Split,
    Step,
    Task,
    stream,
    training_batches,
)
from msbench.builtin.capture import Call, Tape, as_on_cuda, difference, tape
from msbench.builtin.losses.pointwise import cross_entropy
from msbench.builtin.models.causal import CausalLM
from msbench.builtin.models.encoder import Encoder
from msbench.builtin.models.encoder_decoder import EncoderDecoder
from msbench.builtin.operations import is_steady_pass, untouched
from msbench.builtin.optimizers.capturing import make_capturable, step_kind
from msbench.builtin.optimizers.torch_optim import sgd

STEPS = {"model": 5, "loss": 5, "optimizer": 24}
"""How many are compared: of an optimizer enough for those that do something else now and then."""

EXAMPLES, SIZE, LENGTH, WORDS = 32, 8, 6, 16

CLOSE = 1e-5
"""The largest difference between two sums, relative to them, that may be rounding."""

MakeLearner = Callable[..., Any]
"""Makes a learner of torch; given to this file, since learners ask it."""


class NotCapturable(Exception):
    """A step cannot be captured; the message says why."""


def why_eager(learner: MakeLearner, kind: str, make: Callable[..., Any], task: str) -> str:
    """Why steps with this model, loss or optimizer on this kind of task cannot be captured.

    Empty if they can. learner: the class of torch's learners; kind: of the part; make: its factory
    with its options bound.
    """
    threads = torch.get_num_threads()  # every learner says how many it wants
    with untouched(nn.Module(), ()), as_on_cuda():
        try:
            _compare(partial(_made, learner, task), kind, make, task)
        except NotCapturable as error:
            return str(error)
        except Exception as error:  # a plugin's code, on a task that it was not made for
            return f"a step on made-up data failed: {type(error).__name__}: {error}"
        finally:
            torch.set_num_threads(threads)
    return ""


def _compare(learner: Callable[..., Any], kind: str, make: Callable[..., Any], task: str) -> None:
    """NotCapturable if replayed steps with this part are not what they would be eagerly."""
    parts: dict[str, Any] = {"model": small_model(task), "loss": cross_entropy, "optimizer": sgd}
    replayed, eager = (learner(**{**parts, kind: make}) for _ in range(2))
    if not is_steady_pass(replayed.model, replayed.loss):
        raise NotCapturable("its work depends on more than the shapes of a batch")
    make_capturable(eager.optimizer)
    expected = trained(eager, STEPS[kind], Watch(eager))
    replayed.captured_by(tape)
    found = trained(replayed, STEPS[kind], replayed.train_step)
    worst = max(abs(a - b) / max(1.0, abs(b)) for a, b in zip(found, expected, strict=True))
    if worst > CLOSE or math.isnan(worst) > any(map(math.isnan, expected)):
        raise NotCapturable("replayed steps lead elsewhere: something changes on the host alone")


class Watch:
    """Steps of a learner; the second and the third of a kind are on a tape, and must be alike.

    The first makes what is made once, and is never captured.
    """

    def __init__(self, learner: Any):
        self._learner = learner
        self._step: Callable[[Batch], Step] = learner.train_step
        self._taken = Counter[Hashable]()
        self._second: dict[Hashable, Sequence[Call]] = {}

    def __call__(self, batch: Batch) -> Step:
        """A step; NotCapturable if a graph of it would be wrong."""
        kind = step_kind(self._learner.optimizer)
        self._taken[kind] += 1
        if self._taken[kind] not in (2, 3):
            return self._step(batch)
        with Tape() as recorded:
            step = self._step(batch)
        self._check(recorded.calls, self._second.setdefault(kind, recorded.calls))
        return step

    def _check(self, calls: Sequence[Call], like: Sequence[Call]) -> None:
        if read := next((call.name for call in calls if call.reads), ""):
            raise NotCapturable(f"the host waits for a result ({read})")
        if found := difference(like, calls):
            raise NotCapturable(found)


def _made(learner: MakeLearner, kind: str, **parts: Any) -> Any:
    """A learner on made-up data of one shape, in training."""
    made = learner(made_up(kind), seed=0, clip=1.0, **parts)
    made.mode(training=True)
    return made


def trained(learner: Any, steps: int, step: Callable[[Batch], Step]) -> list[float]:
    """What some steps under a schedule lead to: each one's loss and the sum of the weights."""
    learner.reseed("dropout")
    batches = training_batches(learner.task.train, SIZE, stream(0, "replaying"))
    seen: list[float] = []
    for number in range(steps):
        learner.set_rate(1.0 - 0.5 * number / steps, number / steps)
        seen += [float(step(next(batches)).loss), learner.checksum()]
    learner.mode(training=False)
    return [*seen, learner.checksum()]


def small_model(kind: str) -> Callable[[Task], nn.Module]:
    """A model for a kind of task that takes no time."""
    makes: dict[str, Any] = {"seq2seq": EncoderDecoder, "lm": CausalLM}
    return partial(makes.get(kind, Encoder), width=8, layers=1, heads=2)


@cache
def made_up(kind: str) -> Task:
    """A task of a kind, of random tokens; all its scores are 0."""
    draw = stream(0, "made up")
    source = draw.integers(END + 1, WORDS, (EXAMPLES, LENGTH))
    source[:, -1] = END
    labels = draw.integers(0, 3, EXAMPLES)
    per_token = draw.integers(0, 3, (EXAMPLES, LENGTH))
    per_token[::2, -1] = IGNORE
    input = np.roll(source, 1, axis=1)
    input[:, 0] = BEGIN
    target = {"classify": labels, "tag": per_token}.get(kind, source)
    split = Split(
        source[:, : LENGTH // 2] if kind == "lm" else source,
        target,
        labels.tolist(),
        input if kind in ("seq2seq", "lm") else None,
        prompted=kind == "lm",
    )
    named: Any = kind or "classify"
    return Task(named, split, split, split, _worthless, "chrf", WORDS, classes=3)


def _worthless(predictions: Sequence[Any], references: Any) -> Scores:
    return Scores({}, {name: [0.0] * len(predictions) for name in TEXT_SCORES})
