"""Beam search with exact pruning, tie-breaking and stopping.

Shapes: S sources, H hypotheses of each, V vocabulary.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

import msbench
from msbench import BEGIN, END, Batch, Decoder
from msbench.builtin.generation import (
    ANY,
    BLOCK,
    Limits,
    check_generates,
    check_numbers,
    generate,
    greatest,
)
from msbench.builtin.types import Count, Finite, Size, UpTo10


@dataclass(frozen=True)
class Worth:
    """log-probability / length ** penalty + reward * length; END counts as length.

    penalty: Wu et al., 2016 (with their constant 5 left out). reward: He et al., 2016.
    """

    penalty: float = 1.0
    reward: float = 0.0

    def of(self, scores: Tensor, length: int) -> Tensor:
        """Of complete hypotheses with these log-probabilities."""
        worth: Tensor = scores / length**self.penalty + self.reward * length
        return worth

    def bound(self, scores: Tensor, length: int, limit: int) -> Tensor:
        """The most that hypotheses of at least this length can come to.

        Log-probabilities only fall, the largest divisor is that at the limit, and the reward is
        largest at either end.
        """
        best = limit if self.reward > 0 else length
        worth: Tensor = scores / limit**self.penalty + self.reward * best
        return worth


PLAIN = Worth()


@dataclass(frozen=True)
class Hypothesis:
    """A complete output."""

    worth: float
    log_probability: float
    tokens: list[int]


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
        step, tied, entered, left = _step(logs, scores, top, width, worth, place, exact=False)
        if tied:
            step, _, entered, left = _step(logs, scores, top, width, worth, place, exact=True)
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
    return [best or [Hypothesis(float("-inf"), float("-inf"), [])] for best in complete]


class Step(NamedTuple):
    """What became of the hypotheses: (S, H), the best first."""

    scores: Tensor
    parents: Tensor
    tokens: Tensor
    living: Tensor
    """Their scores, -inf for complete ones."""
    worths: Tensor
    """-inf for those that go on."""
    entering: Tensor
    """Whether they are complete, and better than those that were before."""
    top: Tensor
    """(S, count) the worths of the best complete ones so far; the last has to be exceeded."""
    going: Tensor
    """(S,) whether a living one can still overtake them."""


def _step(
    logs: Tensor,
    scores: Tensor,
    top: Tensor,
    width: int,
    worth: Worth,
    place: tuple[int, int],
    *,
    exact: bool,
) -> tuple[Step, bool, bool, int]:
    """The step to a length, of a limit, and whether it must be repeated, because ties are not in
    order unless `exact`; whether any hypothesis enters; how many sources go on.

    These are read at once, because reading means waiting for the device.
    """
    length, limit = place
    scores, parents, tokens, tied = best_continuations(logs, scores, width, exact=exact)
    # At the limit, living hypotheses count as complete.
    ended = tokens == END if length < limit else scores.isfinite()
    worths = worth.of(scores, length).masked_fill(~ended, float("-inf"))
    entering = worths > top[:, -1:]
    top = torch.cat([top, worths], dim=1).topk(top.shape[1], dim=1).values
    living = scores.masked_fill(ended, float("-inf"))
    going = worth.bound(living, length + 1, limit).amax(1) > top[:, -1]
    signs = torch.stack([scores.isnan().any(), tied, entering.any(), going.sum()]).tolist()
    check_numbers(not signs[0])
    step = Step(scores, parents, tokens, living, worths, entering, top, going)
    return step, bool(signs[1]), bool(signs[2]), int(signs[3])


def best_continuations(
    logs: Tensor, scores: Tensor, count: int, *, exact: bool = True
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(S H, V) log-probabilities after (S, H) scores -> the best sums of each source, with the
    hypotheses and tokens they are of, each (S, count), and whether there were ties, whose order
    counts for nothing unless it is `exact`.

    In order of (sum, hypothesis, token). The best `count` sums lie in at most `count` blocks of
    tokens, those with the greatest maxima, so only these are sorted.
    """
    vocabulary = logs.shape[1]
    if rest := -vocabulary % BLOCK:
        logs = functional.pad(logs, (0, rest), value=float("-inf"))
    size, width = scores.shape
    in_blocks = logs.view(size, width, -1, BLOCK)
    tops = in_blocks.amax(3) + scores[:, :, None]
    blocks = tops.shape[2]
    _, order, tied = first_best(tops.flatten(1), count, exact=exact)
    order = order.sort(dim=1).values  # in their old order, for ties
    owners = order // blocks
    offsets = torch.arange(size, device=order.device)[:, None] * (width * blocks)
    sums = in_blocks.flatten(0, 2)[order + offsets] + scores.gather(1, owners)[:, :, None]
    best, index, also_tied = first_best(sums.flatten(1), count, exact=exact)
    which = index // BLOCK
    tokens = order.gather(1, which) % blocks * BLOCK + index % BLOCK
    tokens = tokens.clamp(max=vocabulary - 1)  # padding is never chosen, but must be a valid id
    if best.shape[1] < count:  # fewer continuations than the beam is wide
        short = (0, count - best.shape[1])
        best = functional.pad(best, short, value=float("-inf"))
        which, tokens = functional.pad(which, short), functional.pad(tokens, short)
    return best, owners.gather(1, which), tokens, tied | also_tied


def first_best(values: Tensor, count: int, *, exact: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """(S, N) -> the greatest in order, equals by place, and their places: both (S, count).

    The third result says whether equals may be in another order, which happens unless `exact`:
    topk takes them in any, and is faster than sorting.
    """
    count = min(count, values.shape[1])
    if exact:
        best, places = values.sort(dim=1, descending=True, stable=True)
        return best[:, :count], places[:, :count], torch.zeros((), dtype=torch.bool).to(best.device)
    best, places = values.topk(min(count + 1, values.shape[1]), dim=1)
    tied = (best[:, 1:] == best[:, :-1]).any()
    return best[:, :count], places[:, :count], tied


def _enter(
    complete: list[list[Hypothesis]], alive: list[int], step: Step, written: Tensor, count: int
) -> None:
    """Add complete hypotheses that are better than those of their source."""
    width = step.scores.shape[1]
    for index, rank in step.entering.nonzero().tolist():
        best = complete[alive[index]]
        tokens = written[index * width + rank].tolist()
        output = tokens[:-1] if tokens[-1] == END else tokens
        score, worth = float(step.scores[index, rank]), float(step.worths[index, rank])
        best.append(Hypothesis(worth, score, output))
        best.sort(key=lambda hypothesis: -hypothesis.worth)
        del best[count:]
