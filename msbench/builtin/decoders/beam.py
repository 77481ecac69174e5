"""Beam search with exact pruning, tie-breaking and stopping.

Shapes: S sources, H hypotheses of each.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

import msbench
from msbench import BEGIN, Batch, Decoder
from msbench.builtin.choosing import ANY, Limits, check_generates, check_numbers, greatest
from msbench.builtin.decoders.beam_slate import BeamSlate
from msbench.builtin.decoders.beam_step import PLAIN, Hypothesis, Step, Worth, take_step
from msbench.builtin.generation import generate
from msbench.builtin.replayed_decoding import replayed
from msbench.builtin.types import Count, Finite, Size, UpTo10


def beam(
    width: Size = 4,
    length_penalty: UpTo10 = 1.0,
    length_reward: Finite = 0.0,
    min_length: Count = 0,
    max_length: Count = 0,
    no_repeat_ngram: Count = 0,
) -> Decoder:
    """Beam search for the hypothesis with the most log-probability / length ** length_penalty +
    length_reward * length.

    width: hypotheses kept per source; one that ends leaves the beam, so that width 1 is greedy.
    A source is finished once no living hypothesis can overtake its best complete one.
    """
    if width < 1:
        raise msbench.MsbenchError(f"beam needs a width of 1 or more, not {width}")
    if length_penalty < 0:
        raise msbench.MsbenchError(f"beam needs length_penalty >= 0, not {length_penalty}")
    worth = Worth(length_penalty, length_reward)
    return Beam(width, worth, Limits(min_length, max_length, no_repeat_ngram))


@dataclass(frozen=True)
class Beam:
    """See `beam`."""

    width: int
    worth: Worth = PLAIN
    limits: Limits = ANY

    def __call__(self, model: Any, batch: Batch) -> list[list[int]]:
        """The best output of each source."""
        if self.width == 1:  # sums of logarithms would round, and make ties where logits differ
            return generate(model, batch, greatest, self.limits)
        return [best[0] for best in self.several(model, batch, 1)]

    def several(self, model: Any, batch: Batch, count: int) -> list[list[list[int]]]:
        """The best outputs of each source, at most `count`, the best first."""
        complete = search(model, batch, self.width, self.worth, self.limits, count)
        return [[hypothesis.tokens for hypothesis in best] for best in complete]


NOTHING = Hypothesis(float("-inf"), float("-inf"), [])
"""Where no output has a probability."""


@torch.no_grad()
def search(
    model: Any,
    batch: Batch,
    width: int,
    worth: Worth = PLAIN,
    limits: Limits = ANY,
    count: int = 1,
) -> list[list[Hypothesis]]:
    """The best complete hypotheses of each source, at most `count`, the best first.

    Ties are broken by the rank of the hypothesis that is continued, then by the smaller token id.
    Of two complete ones of equal worth the earlier one counts as better.
    """
    check_generates(model)
    state = model.start(batch)
    limit, device = limits.most(model), batch.source.device
    if not limits.no_repeat_ngram:
        make = partial(BeamSlate, worth=worth, limits=limits, count=count, device=device)
        slate = replayed(model, state, ("beam", worth, limits, count), width, limit, make)
        if slate is not None:
            return [best or [NOTHING] for best in slate.complete(len(batch.rows))]
    rows = torch.arange(len(batch.rows), device=device)
    complete: list[list[Hypothesis]] = [[] for _ in rows]
    tokens = torch.full((len(rows),), BEGIN, device=device)
    written = torch.empty(len(rows), limit, dtype=torch.long, device=device)
    scores = torch.zeros(len(rows), 1, device=device)
    top = torch.full((len(rows), count), float("-inf"), device=device)
    buffer = scores[:0]
    alive = list(range(len(rows)))
    for length in range(1, limit + 1):
        logits, state = model.step(state, tokens)
        logits = limits.allowed(logits, written[:, : length - 1]).float()
        if len(buffer) < len(logits):
            buffer = torch.empty_like(logits)
        logs = torch.log_softmax(logits, -1, out=buffer[: len(logits)])
        place = length, limit
        step = take_step(logs, scores, top, width, worth, place, exact=False)
        broken, tied, entered, left = step.signs.tolist()  # the host waits once a step
        if tied:
            step = take_step(logs, scores, top, width, worth, place, exact=True)
            broken, _, entered, left = step.signs.tolist()
        check_numbers(not broken)
        offsets = torch.arange(len(alive), device=device)[:, None] * scores.shape[1]
        source, tokens = (step.parents + offsets).flatten(), step.tokens.flatten()
        written = written[source]
        written[:, length - 1] = tokens
        if entered:
            _enter(complete, alive, step, written[:, :length], count)
        if not left or length == limit:
            break
        scores, top = step.living, step.top
        if 4 * left <= 3 * len(alive):
            kept = step.going.nonzero()[:, 0]
            index = (kept[:, None] * width + torch.arange(width, device=device)).flatten()
            source, tokens, written = source[index], tokens[index], written[index]
            scores, top, alive = scores[kept], top[kept], [alive[i] for i in kept.tolist()]
        state = state.select(source)
    return [best or [NOTHING] for best in complete]


def _enter(
    complete: list[list[Hypothesis]], alive: list[int], step: Step, written: Tensor, count: int
) -> None:
    """Add complete hypotheses that are better than those of their source."""
    width = step.scores.shape[1]
    for index, rank in step.entering.nonzero().tolist():
        best = complete[alive[index]]
        tokens = written[index * width + rank].tolist()
        score, worth = float(step.scores[index, rank]), float(step.worths[index, rank])
        best.append(Hypothesis.of(worth, score, tokens))
        best.sort(key=lambda hypothesis: -hypothesis.worth)
        del best[count:]
