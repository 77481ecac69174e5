"""Batches on the device: a split is put there once, and batches are gathered from it by row."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from msbench import IGNORE, PAD, Batch, Split

FILLED = {"source": PAD, "input": PAD, "target": IGNORE, "words": -1}
"""The arrays of a batch, and what is behind the end of a row."""


def placed(batch: Batch, device: torch.device) -> Batch:
    """The batch's own arrays as tensors; on a CPU without a copy."""
    return batch.map(lambda ids: torch.from_numpy(ids).to(device, non_blocking=True))


class Resident:
    """Splits on a device. What a batch reads there is its rows, cut or padded to its shapes."""

    def __init__(self, device: torch.device):
        self._device = device
        self._splits: list[Split] = []
        self._tables: dict[tuple[int, str, int], Tensor] = {}

    def place(self, batch: Batch) -> Batch:
        """A batch of a split as tensors; only its row numbers are copied to the device."""
        if batch.split is None:
            return placed(batch, self._device)
        return self.gather(batch, self.rows(batch))

    def rows(self, batch: Batch) -> Tensor:
        """The rows of a batch on the device."""
        return torch.from_numpy(batch.rows).to(self._device, non_blocking=True)

    def gather(self, like: Batch, rows: Tensor) -> Batch:
        """The examples at these rows, in the shapes of `like`."""
        arrays: dict[str, Any] = {}
        for name in FILLED:
            if (array := getattr(like, name)) is not None:
                table = self._table(like.split, name, array.shape[1:])
                arrays[name] = table.index_select(0, rows)
        return replace(like, **arrays)

    def _table(self, split: Any, name: str, width: tuple[int, ...]) -> Tensor:
        """An array of the split on the device, with rows of this width (none: numbers).

        A table is kept as long as this lives: captured steps read it where it is.
        """
        if all(split is not known for known in self._splits):
            self._splits.append(split)  # so that no other object gets its id
        array = torch.from_numpy(getattr(split, name))
        more = max(0, width[0] - array.shape[1]) if width else 0
        key = id(split), name, more
        if key not in self._tables:
            padded = functional.pad(array, (0, more), value=FILLED[name]) if more else array
            self._tables[key] = padded.to(self._device)
        return self._tables[key][:, : width[0]] if width else self._tables[key]
