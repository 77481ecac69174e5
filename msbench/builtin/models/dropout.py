"""Dropout whose mask is cheap to draw on a CPU."""

import torch
from torch import Tensor, nn
from torch.nn import functional

PARTS = 1 << 16
"""Chances are multiples of one in so many on CPUs: 16 random bits decide on a number."""


class Dropout(nn.Dropout):
    """Zeroes each number with chance p and scales the others by 1 / (1 - p) (Srivastava et al.,
    2014).

    On a CPU drawing a number for each is most of the work. Here
    four numbers share 64 random bits, and the scale is that of the rounded chance, so that means
    are exact; of bfloat16 the scale is rounded, as torch's is.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        dropped = round(self.p * PARTS)
        if x.device.type != "cpu" or dropped == PARTS or torch.compiler.is_compiling():
            return functional.dropout(x, self.p)
        words = torch.empty(x.numel() // 4 + 1, dtype=torch.int64).random_(-(2**63), None)
        bits = words.view(torch.int16)[: x.numel()].view(x.shape)
        kept = bits >= dropped - PARTS // 2
        return x * kept.to(x.dtype).mul_(PARTS / (PARTS - dropped))
