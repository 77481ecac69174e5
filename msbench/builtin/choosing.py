"""What may be written next, and the likeliest of it."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

import msbench
from msbench import BEGIN, END, PAD

BLOCK = 32
"""Tokens of which the greatest logit is found first, so that few need to be compared or sorted."""


@dataclass(frozen=True)
class Limits:
    """Constraints on what may be written."""

    min_length: int = 0
    """Tokens before END is allowed."""
    max_length: int = 0
    """Most tokens; 0 = as many as the model can."""
    no_repeat_ngram: int = 0
    """No sequence of this many tokens occurs twice (Paulus et al., 2018); 0 = no constraint."""

    def __post_init__(self) -> None:
        if self.max_length and self.min_length > self.max_length:
            raise msbench.MsbenchError(
                f"min_length {self.min_length} is above max_length {self.max_length}"
            )

    def most(self, model: Any) -> int:
        """The number of tokens at which an output is cut."""
        limit: int = min(self.max_length or model.max_length, model.max_length)
        return limit

    def allowed(self, logits: Tensor, written: Tensor) -> Tensor:
        """(rows, V) logits after (rows, length) tokens; in place, -inf where not allowed."""
        length = written.shape[1]
        no_padding(logits)
        if length < self.min_length:
            logits.select(-1, END).fill_(float("-inf"))
        if self.no_repeat_ngram and length >= self.no_repeat_ngram:
            self._no_repeats(logits, written)
        return logits

    def allowed_now(self, logits: Tensor, length: Tensor) -> Tensor:
        """The same after a number of tokens that the device knows, but for `no_repeat_ngram`."""
        no_padding(logits)
        if self.min_length:
            logits.select(-1, END).masked_fill_(length < self.min_length, float("-inf"))
        return logits

    def _no_repeats(self, logits: Tensor, written: Tensor) -> None:
        seen = written.unfold(1, self.no_repeat_ngram, 1)
        last = written[:, written.shape[1] - self.no_repeat_ngram + 1 :]
        again = (seen[..., :-1] == last[:, None]).all(-1)
        rows, places = again.nonzero(as_tuple=True)
        logits[rows, seen[rows, places, -1]] = float("-inf")
        # Where no token is allowed, the output may end after all.
        stuck = (logits == float("-inf")).all(-1)
        logits[:, END].masked_fill_(stuck, 0.0)


ANY = Limits()


def likeliest(logits: Tensor) -> Tensor:
    """(..., V) logits -> the first of the greatest; MsbenchError if that is not finite."""
    tokens, best = greatest(logits)
    check_numbers(best.isfinite())
    return tokens


def greatest(logits: Tensor) -> tuple[Tensor, Tensor]:
    """(..., V) logits -> the first of the greatest, and these: both (...).

    On a CPU, where looking for a place takes much longer than looking for a maximum, only one
    block of each row is searched.
    """
    blocks = logits.shape[-1] // BLOCK
    if logits.device.type != "cpu" or blocks < 2:
        best, tokens = logits.max(-1)
        return tokens, best
    cut = blocks * BLOCK
    in_blocks = logits[..., :cut].view(*logits.shape[:-1], blocks, BLOCK)
    block = in_blocks.amax(-1).argmax(-1, keepdim=True)
    searched = in_blocks.take_along_dim(block[..., None], -2)[..., 0, :]
    searched = torch.cat([searched, logits[..., cut:]], dim=-1)
    best, place = searched.max(-1)
    first = block[..., 0] * BLOCK
    return torch.where(place < BLOCK, first + place, place + (cut - BLOCK)), best


def no_padding(logits: Tensor) -> Tensor:
    """(..., V) logits, in place -inf for PAD and BEGIN, which are never predicted."""
    first = min(PAD, BEGIN)
    logits.narrow(-1, first, max(PAD, BEGIN) + 1 - first).fill_(float("-inf"))
    return logits


def check_generates(model: Any) -> None:
    """MsbenchError unless the model can be decoded token by token."""
    missing = [name for name in ("start", "step", "max_length") if not hasattr(model, name)]
    if missing:
        raise msbench.MsbenchError(
            f"this decoder needs a model that generates, and {model.__class__.__name__} has no "
            f"{' and no '.join(missing)}"
        )


def check_numbers(usable: Tensor | bool) -> None:
    """MsbenchError about the model's logits unless all of them are `usable`."""
    if not bool(usable if isinstance(usable, bool) else usable.all()):
        raise msbench.MsbenchError("the model's logits are not numbers (NaN or infinite)")
