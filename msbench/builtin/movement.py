"""Which trained numbers training has changed."""

import torch
from torch import Tensor, nn


class Movement:
    """The trained weights as they were, on the host, and what has changed since."""

    def __init__(self, model: nn.Module):
        self._model = model
        embeddings = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
        self._rows = {name for name, p in model.named_parameters() if id(p) in embeddings}
        self._before = {
            name: p.detach().to("cpu", copy=True)
            for name, p in model.named_parameters()
            if p.requires_grad
        }

    def seen(self) -> tuple[float, list[str], int]:
        """Of all trained numbers the share that has changed, the names of weights in which nothing
        has, and how many weights there are.

        Rows of an embedding that are as they were do not count: no batch looked them up.
        """
        changes = self._changed()
        still = [name for name, changed in changes.items() if not bool(changed.any())]
        return self._share(changes), still, len(changes)

    def _share(self, changes: dict[str, Tensor]) -> float:
        moved = total = 0
        for name, changed in changes.items():
            if name in self._rows:
                changed = changed[changed.any(dim=1)]
            moved, total = moved + int(changed.sum()), total + changed.numel()
        return moved / max(1, total)

    @torch.no_grad()
    def _changed(self) -> dict[str, Tensor]:
        """Which numbers of each weight; of one that an optimizer froze, nothing is said."""
        weights = {n: p for n, p in self._model.named_parameters() if p.requires_grad}
        return {
            name: weights[name].cpu() != old
            for name, old in self._before.items()
            if name in weights
        }
