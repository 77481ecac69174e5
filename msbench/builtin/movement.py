"""Which trained numbers training has changed."""

import torch
from torch import Tensor, nn


class Movement:
    """The trained weights as they were, on the host, and what has changed since."""

    def __init__(self, model: nn.Module):
        self._model = model
        self._rows = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
        self._before = {
            name: p.detach().to("cpu", copy=True)
            for name, p in model.named_parameters()
            if p.requires_grad
        }

    def still(self) -> list[str]:
        """The names of weights in which nothing has changed."""
        return [name for name, changed in self._changed().items() if not bool(changed.any())]

    def share(self) -> float:
        """Of all trained numbers, the share that has changed.

        Rows of an embedding that are as they were are left out: no batch looked them up.
        """
        weights = dict(self._model.named_parameters())
        moved = total = 0
        for name, changed in self._changed().items():
            if id(weights[name]) in self._rows:
                changed = changed[changed.any(dim=1)]
            moved, total = moved + int(changed.sum()), total + changed.numel()
        return moved / max(1, total)

    def __len__(self) -> int:
        return len(self._before)

    @torch.no_grad()
    def _changed(self) -> dict[str, Tensor]:
        weights = dict(self._model.named_parameters())
        return {name: weights[name].detach().cpu() != old for name, old in self._before.items()}
