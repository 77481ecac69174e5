"""msbench's token ids and those of a checkpoint.

msbench's are PAD, BEGIN, END and UNKNOWN, and then all ids of the checkpoint in their order. So text
that was tokenized for a checkpoint is read by a lookup, and its logits need only be moved.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from msbench import BEGIN, END, PAD

UNKNOWN = 3
"""The fourth of msbench's token ids."""

MOVED = UNKNOWN + 1
"""By how many places the checkpoint's ids are moved."""

IMPOSSIBLE = 100.0
"""How far below the greatest logit those of no token are: their probability is 0 in float32, and
label smoothing, which takes the mean of all logarithms, stays finite."""


class Vocabulary(nn.Module):
    """Translates between the two; without a checkpoint, the task's ids are the model's."""

    def __init__(
        self,
        begin: int = BEGIN,
        end: int = END,
        padding: int | None = None,
        unknown: int | None = None,
        prefix: Sequence[int] = (),
        *,
        moved: bool = False,
    ):
        """Ids of the checkpoint. begin: what stands before the first token that is written. prefix:
        what stands before every source."""
        super().__init__()
        self.moved = moved
        known = unknown is not None and unknown != end
        filler = end if padding is None else padding
        special = [filler, begin, end, unknown if unknown is not None and known else end]
        self.register_buffer("special", torch.tensor(special), persistent=False)
        self.register_buffer("prefix", torch.tensor(list(prefix)).long(), persistent=False)
        moved_away = [end, *([unknown] if unknown is not None and known else [])]
        self.unused = [PAD, BEGIN, *([] if known else [UNKNOWN])]
        self.unused += [MOVED + each for each in moved_away]

    special: Tensor
    prefix: Tensor

    def ids(self, tokens: Tensor) -> Tensor:
        """Token ids of msbench -> those of the checkpoint."""
        if not self.moved:
            return tokens
        return torch.where(
            tokens < MOVED, self.special[tokens.clamp(max=UNKNOWN)], tokens - MOVED
        )

    def source(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """(B, S) tokens -> (B, prefix + S) ids and which of them count, the prefix before them."""
        before = self.prefix.expand(len(tokens), -1)
        ids = torch.cat([before, self.ids(tokens)], dim=1)
        return ids, torch.cat([torch.ones_like(before), (tokens != PAD).long()], dim=1)

    def logits(self, logits: Tensor) -> Tensor:
        """(..., V) logits of the checkpoint's tokens -> (..., 4 + V) of msbench's."""
        if not self.moved:
            return logits
        lowest = logits.detach().amax(-1, keepdim=True) - IMPOSSIBLE
        moved = functional.pad(logits, (MOVED, 0))
        moved[..., END] = logits[..., self.special[END]]
        if UNKNOWN not in self.unused:
            moved[..., UNKNOWN] = logits[..., self.special[UNKNOWN]]
        moved[..., self.unused] = lowest
        return moved
