"""What decoding has computed so far, on the caches of transformers: `select` and `keep`.

Rows stand at the right: what a row has not read, or has taken back, is a gap at its left that no
token attends to. So distances between tokens are what they would be without gaps, which relative
positions need, and absolute positions are told to the model.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import DynamicCache, EncoderDecoderCache

from msbench import MsbenchError


@dataclass
class State:
    """Keys and values of all rows, and of an encoder-decoder the sources that they read."""

    cache: Any
    seen: Tensor
    """(rows, length) 1 where a row has read a token, 0 in its gap."""
    places: Tensor
    """(rows,) positions of the next tokens."""
    begin: Tensor
    """(rows,) the checkpoint's ids that BEGIN means."""
    memory: Tensor | None = None
    """(rows, source, W) states of the encoder."""
    read: Tensor | None = None
    """(rows, source) which of them count."""
    n: int = 1

    def select(self, rows: Tensor) -> "State":
        """The state of the given rows, in that order; a row may be taken more than once. The old
        state is used up."""
        self.cache.batch_select_indices(rows)
        self.seen, self.places, self.begin = (
            each[rows] for each in (self.seen, self.places, self.begin)
        )
        if self.memory is not None and self.read is not None:
            self.memory, self.read = self.memory[rows], self.read[rows]
        return self

    def keep(self, counts: Tensor, n: int = 0) -> "State":
        """Keep only the first `counts` of the last n tokens that each row read, by default those of
        the last step: what is before them moves to the right."""
        dropped = (n or self.n) - counts
        least = int(dropped.min())
        length = self.seen.shape[1]
        index = torch.arange(length, device=counts.device) - dropped[:, None]
        there = (index >= 0)[:, least:]
        index = index.clamp(min=0)[:, least:]
        self.seen = self.seen.gather(1, index) * there
        self.places = self.places - dropped
        for layer in layers_of(self.cache):
            at = index[:, None, :, None].expand(-1, layer.keys.shape[1], -1, layer.keys.shape[3])
            layer.keys, layer.values = layer.keys.gather(2, at), layer.values.gather(2, at)
        return self

    def next_places(self, n: int, most: int) -> Tensor:
        """(rows, n) positions of the next n tokens; a draft may run ahead of the last one."""
        ahead = torch.arange(n, device=self.places.device)
        return (self.places[:, None] + ahead).clamp(max=most - 1)

    def go_on(self, n: int) -> None:
        """Count n more tokens of every row as read, which the next step will read."""
        self.seen = functional.pad(self.seen, (0, n), value=1)
        self.places = self.places + n
        self.n = n


def new_cache(source: bool = False) -> Any:
    """An empty cache, with room for the keys and values of a source, too, if there is one."""
    return EncoderDecoderCache(DynamicCache(), DynamicCache()) if source else DynamicCache()


def layers_of(cache: Any) -> list[Any]:
    """The layers whose keys and values are of what was written."""
    own = getattr(cache, "self_attention_cache", cache)
    return list(own.layers)


def check_layers(cache: Any, name: str) -> None:
    """MsbenchError unless rows of the cache can be reordered and taken back."""
    strange = {type(layer).__name__ for layer in layers_of(cache)} - {"DynamicLayer"}
    if strange:
        raise MsbenchError(
            f"{name} keeps {', '.join(sorted(strange))}: only caches of keys and values of all "
            f"tokens can be decoded here"
        )


def to_the_right(ids: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """(B, T) ids and which of them count -> the same in their order, gaps at the left."""
    order = seen.argsort(dim=1, stable=True)
    return ids.gather(1, order), seen.gather(1, order)


def places_of(seen: Tensor) -> Tensor:
    """(B, T) which tokens count -> their positions among these, 0 in gaps."""
    return (seen.cumsum(1) - 1).clamp(min=0)


@contextmanager
def positions(decoder: nn.Module, places: Tensor) -> Iterator[None]:
    """Inside, a decoder that would number what it has cached takes these (rows, n) positions.

    BART and its relatives have learned or sinusoidal positions and no argument for them.
    """

    def place(module: Any, _: Any, __: Any) -> Tensor:
        return functional.embedding(places + getattr(module, "offset", 0), module.weight)

    found = [each for name, each in decoder.named_modules() if name.endswith("embed_positions")]
    hooks = [each.register_forward_hook(place) for each in found]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
