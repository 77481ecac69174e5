"""msbench's token ids, which tasks have, and those that a checkpoint's weights know."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from msbench import BEGIN, END, PAD, Tokenizer

IMPOSSIBLE = 100.0
"""How far below the greatest logit those of no token are: their probability is nothing in float32,
and label smoothing, which takes the mean of all logarithms, stays finite."""


class Vocabulary(nn.Module):
    """Translates between the two; without a tokenizer, the task's ids are the model's."""

    def __init__(
        self,
        tokenizer: Tokenizer | None = None,
        prefix: Sequence[int] = (),
        never: Sequence[int] = (),
    ):
        """prefix: ids of the checkpoint that stand before every source. never: those that are never
        written."""
        super().__init__()
        self.own, self.never = tokenizer is None, tuple(never)
        table = np.arange(END + 1) if tokenizer is None else tokenizer.own
        unused = {PAD, BEGIN, *np.flatnonzero(table < 0), *np.flatnonzero(np.isin(table, never))}
        self.unused = sorted(map(int, unused))
        """msbench's ids that have no logit."""
        filled = torch.from_numpy(np.where(table < 0, table[END], table))
        self.register_buffer("table", filled, persistent=False)
        self.register_buffer("prefix", torch.tensor(list(prefix)).long(), persistent=False)

    table: Tensor
    """(V,) the checkpoint's id of each of msbench's."""
    prefix: Tensor

    @property
    def special(self) -> list[int]:
        """The checkpoint's ids of PAD, BEGIN and END."""
        return [int(self.table[each]) for each in (PAD, BEGIN, END)]

    def ids(self, tokens: Tensor) -> Tensor:
        """Token ids of msbench -> those of the checkpoint."""
        return tokens if self.own else self.table[tokens]

    def tokens(self, ids: Tensor) -> Tensor:
        """Token ids of the checkpoint -> those of msbench, END for all that mean it."""
        if self.own:
            return ids
        back = self.table.new_full((int(self.table.max()) + 1,), END)
        numbers = torch.arange(len(self.table), device=ids.device)
        back[self.table[END + 1 :]] = numbers[END + 1 :]
        back[self.table[END]] = END
        return back[ids.clamp(max=len(back) - 1)]

    def source(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """(B, S) tokens -> (B, prefix + S) ids and which of them count, the prefix before them."""
        before = self.prefix.expand(len(tokens), -1)
        ids = torch.cat([before, self.ids(tokens)], dim=1)
        return ids, torch.cat([torch.ones_like(before), (tokens != PAD).long()], dim=1)

    def logits(self, logits: Tensor) -> Tensor:
        """(..., own) logits of the checkpoint's tokens -> (..., V) of msbench's."""
        if self.own:
            return logits
        lowest = logits.detach().amax(-1, keepdim=True) - IMPOSSIBLE
        ours = logits.index_select(-1, self.table)
        ours[..., self.unused] = lowest
        return ours
