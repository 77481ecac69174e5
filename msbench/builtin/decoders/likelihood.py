"""The likelihood of texts as they stand, as a decoder that generates nothing."""

from typing import Any

from torch import Tensor
from torch.nn import functional

from msbench import IGNORE, Batch, Decoder
from msbench.builtin.generation import not_numbers


def likelihood() -> Decoder:
    """(B,) log-probability of each text as it stands, in nats; nothing is generated."""

    def decode(model: Any, batch: Batch) -> Tensor:
        logits: Tensor = model(batch).float()
        lost = functional.cross_entropy(
            logits.transpose(1, 2), batch.target, ignore_index=IGNORE, reduction="none"
        )
        found = -lost.double().sum(1)
        if bool(found.isnan().any()):
            raise not_numbers()
        return found

    return decode
