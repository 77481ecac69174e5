"""The likelihood of texts as they stand, as a decoder that generates nothing."""

from typing import Any

from torch import Tensor

from msbench import Batch, Decoder
from msbench.builtin.choosing import check_numbers
from msbench.builtin.scoring import token_losses


def likelihood() -> Decoder:
    """(B,) log-probability of each text as it stands, in nats; nothing is generated."""

    def decode(model: Any, batch: Batch) -> Tensor:
        logs = -token_losses(model(batch).float(), batch.target).double().sum(1)
        check_numbers(~logs.isnan())
        return logs

    return decode
