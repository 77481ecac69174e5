"""One step of beam search: what becomes of the hypotheses, told without waiting for the device.

Shapes: S sources, H hypotheses of each, V vocabulary.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from msbench import END
from msbench.builtin.choosing import BLOCK


@dataclass(frozen=True)
class Worth:
    """log-probability / length ** penalty + reward * length; END counts as length.

    penalty: Wu et al., 2016 (with their constant 5 left out). reward: He et al., 2016.
    """

    penalty: float = 1.0
    reward: float = 0.0

    def of(self, scores: Tensor, length: int | Tensor) -> Tensor:
        """Of complete hypotheses with these log-probabilities."""
        worth: Tensor = scores / length**self.penalty + self.reward * length
        return worth

    def bound(self, scores: Tensor, length: int | Tensor, limit: int) -> Tensor:
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

    @classmethod
    def of(cls, worth: float, log_probability: float, written: list[int]) -> "Hypothesis":
        """written: with the END that completed it, if one did."""
        tokens = written[:-1] if written[-1] == END else written
        return cls(worth, log_probability, tokens)


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
    signs: Tensor
    """(4,) what the host may ask: whether scores are not numbers; whether the step must be
    repeated, because ties are not in order unless it was `exact`; whether any hypothesis enters;
    and how many sources go on."""


def take_step(
    logs: Tensor,
    scores: Tensor,
    top: Tensor,
    width: int,
    worth: Worth,
    place: tuple[int | Tensor, int],
    *,
    exact: bool,
) -> Step:
    """The step to a length, of a limit, from (S H, V) log-probabilities after (S, H) scores.

    The length may be a number on the device, in double precision as the host's numbers are.
    """
    length, limit = place
    scores, parents, tokens, tied = best_continuations(logs, scores, width, exact=exact)
    # At the limit, living hypotheses count as complete.
    ended = (tokens == END) | (length >= limit)
    worths = worth.of(scores, length).masked_fill(~ended, float("-inf"))
    entering = worths > top[:, -1:]
    top = torch.cat([top, worths], dim=1).topk(top.shape[1], dim=1).values
    living = scores.masked_fill(ended, float("-inf"))
    going = worth.bound(living, length + 1, limit).amax(1) > top[:, -1]
    signs = torch.stack([scores.isnan().any(), tied, entering.any(), going.sum()])
    return Step(scores, parents, tokens, living, worths, entering, top, going, signs)


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
        return best[:, :count], places[:, :count], best.new_zeros((), dtype=torch.bool)
    best, places = values.topk(min(count + 1, values.shape[1]), dim=1)
    tied = (best[:, 1:] == best[:, :-1]).any()
    return best[:, :count], places[:, :count], tied
