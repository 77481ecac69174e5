"""A pointer into the source, by which a model can copy tokens.

Shapes: B examples, S source and T target positions, W width, V vocabulary.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from msbench import BEGIN, PAD
from msbench.builtin.models.fixed import enter


@dataclass(frozen=True)
class Pointed:
    """What the pointer needs of a batch of sources."""

    source: Tensor
    """(B, S) ids."""
    keys: Tensor
    """(B, S, W)."""
    same: Tensor
    """(B, S, S) whether two places hold the same token."""
    first: Tensor
    """(B, S) whether a token occurs here for the first time, and is not padding."""

    def select(self, rows: Tensor) -> "Pointed":
        """Some of the sources."""
        return Pointed(self.source[rows], self.keys[rows], self.same[rows], self.first[rows])

    def room(self, rows: int, long: int) -> "Pointed":
        """Memory for so many sources of such a length."""
        source, keys = self.source.new_empty(rows, long), self.keys
        same = self.same.new_empty(rows, long, long)
        wide = keys.new_empty(rows, long, keys.shape[2])
        return Pointed(source, wide, same, self.first.new_empty(rows, long))

    def load(self, other: "Pointed", rows: Tensor) -> None:
        """Hold these rows of another, which may be shorter: then the rest is padding."""
        enter(self.source, other.source, rows, PAD)
        for mine, its in (
            (self.keys, other.keys),
            (self.same, other.same),
            (self.first, other.first),
        ):
            enter(mine, its, rows)


class Pointer(nn.Module):
    """Lets every token of the source compete with the vocabulary (CopyNet: Gu et al., 2016).

    One softmax over both: where a token occurs in the source, exp(score) is added to exp(logit).
    That costs a gather and a scatter instead of a second distribution over the vocabulary. A place
    is found by its token and by the one before, because what is copied next usually follows what
    was copied last (which models learn by themselves, but late: Olsson et al., 2022).

    follow: scores also depend on `copying_clues`, with weights that change from step to step.
    """

    def __init__(self, width: int, follow: bool = False):
        super().__init__()
        self.query, self.bias = nn.Linear(width, width), nn.Linear(width, 1)
        self.here, self.before = nn.Linear(width, width), nn.Linear(width, width)
        self.weigh = nn.Linear(width, 3) if follow else None

    def read(self, memory: Tensor, source: Tensor) -> Pointed:
        """(B, S, W) states and (B, S) ids of the source, for all steps."""
        before = functional.pad(memory, (0, 0, 1, 0))[:, :-1]
        keys = self.here(memory) + self.before(before)
        same = source[:, :, None] == source[:, None]
        first = ~same.tril(-1).any(-1) & (source != PAD)
        return Pointed(source, keys, same, first)

    def forward(
        self, x: Tensor, logits: Tensor, pointed: Pointed, clues: Tensor | None = None
    ) -> Tensor:
        """(B, T, W) states, (B, T, V) logits -> (B, T, V) logits."""
        source, keys = pointed.source, pointed.keys
        scores = self.query(x) @ keys.transpose(1, 2) / keys.shape[-1] ** 0.5 + self.bias(x)
        if clues is not None and self.weigh is not None:
            scores = scores + (self.weigh(x)[:, :, None] @ clues.to(x.dtype))[:, :, 0]
        scores = scores.masked_fill((source == PAD)[:, None], float("-inf"))
        # A token that occurs in several places counts with their sum, entered at the first of them.
        top = scores.amax(-1, keepdim=True).detach()
        sums = (scores - top).exp() @ pointed.same.to(scores.dtype)
        copied = sums.clamp(min=torch.finfo(sums.dtype).tiny).log() + top
        tokens = source[:, None].expand_as(scores)
        generated = logits.gather(2, tokens)
        gain = (torch.logaddexp(generated, copied) - generated) * pointed.first[:, None]
        return logits.scatter_add(2, tokens, gain)


def copying_clues(source: Tensor, input: Tensor, written: Tensor | None = None) -> Tensor:
    """(B, S) ids, (B, T) ids read -> (B, T, 3, S) what speaks for and against copying each place.

    Whether it directly follows the last token; whether it follows it anywhere, so that copying may
    skip but goes on in order; and whether its token was written already (coverage: See et al.,
    2017). written: (B, 1, S) the last of these, where `input` is not all that was read.
    """
    before = functional.pad(source, (1, 0), value=BEGIN)[:, :-1]
    next_place = before[:, None] == input[:, :, None]
    later = next_place.cummax(-1).values & (input != BEGIN)[:, :, None]
    if written is None:
        written = (source[:, None] == input[:, :, None]).cummax(1).values
    return torch.stack([next_place, later, written], dim=2)
