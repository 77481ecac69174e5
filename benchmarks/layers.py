"""Forward and backward of our encoder and encoder-decoder against torch.nn's Transformer layers.

    python benchmarks/layers.py [--device cuda] [--seconds S]

Same width, layers, heads, feed-forward part, GELU, normalization before each part, embeddings,
heads and losses; the same batches of 32 texts of 24 to 32 tokens, padding masked in both. One
thread. Rounds are interleaved and the ratio is formed within the round: how many times as long
torch.nn takes, with a 95 % interval. Wanted: at least 1.3 at width 64 and at least 1 at width 512.
Ours rotates queries and keys, which torch.nn does not; torch.nn drops attention weights and within
the feed-forward part, too. `operations` are those of one forward and backward pass that compute
something: what a GPU is given to do, one by one.
"""

import argparse
import warnings
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
import torch
from figures import Figure, card_of, compared, line, save, verdict
from rounds import Timed, interleaved, timed
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from msbench import PAD, Batch, Split, Task
from msbench.builtin.losses.pointwise import cross_entropy
from msbench.builtin.models.encoder import Encoder
from msbench.builtin.models.encoder_decoder import EncoderDecoder

SIZE, LENGTH, VOCABULARY, LAYERS = 32, 32, 1000, 2
WANTED = {64: 1.3, 512: 1.0}


def make_task(kind: Any) -> Task:
    """Random tokens; what is timed does not depend on them."""
    draw = np.random.default_rng(0)
    source, target = draw.integers(4, VOCABULARY, (2, SIZE, LENGTH))
    lengths = draw.integers(LENGTH * 3 // 4, LENGTH + 1, SIZE)
    source[np.arange(LENGTH) >= lengths[:, None]] = PAD
    if kind == "classify":
        labels = draw.integers(0, 5, SIZE)
        split = Split(source, labels, labels.tolist())
    else:
        split = Split(source, target, [""] * SIZE, target)
    return Task(kind, split, split, split, lambda p, r: None, "accuracy", VOCABULARY, 5)  # type: ignore[arg-type, return-value]


class Peer(nn.Module):
    """What our models are, of torch.nn's layers."""

    def __init__(self, kind: str, width: int, heads: int, dropout: float):
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, width)
        self.places = nn.ModuleList(nn.Embedding(LENGTH, width) for _ in range(2))
        self.dropout, self.scale = nn.Dropout(dropout), width**0.5
        options: dict[str, Any] = {"activation": "gelu", "batch_first": True, "norm_first": True}
        options |= {"dropout": dropout, "dim_feedforward": 4 * width}
        self.encoder: Any = None
        if kind == "classify":
            layer, norm = nn.TransformerEncoderLayer(width, heads, **options), nn.LayerNorm(width)
            self.encoder = nn.TransformerEncoder(layer, LAYERS, norm, enable_nested_tensor=False)
            self.head = nn.Linear(width, 5)
        else:
            self.both = nn.Transformer(width, heads, LAYERS, LAYERS, **options)

    def embed(self, tokens: Tensor, side: int) -> Tensor:
        places = self.places[side].weight[: tokens.shape[1]]
        embedded: Tensor = self.dropout(self.tokens(tokens) * self.scale + places)
        return embedded

    def forward(self, batch: Batch) -> Tensor:
        padding, x = batch.source == PAD, self.embed(batch.source, 0)
        if self.encoder is not None:
            x, used = self.encoder(x, src_key_padding_mask=padding), ~padding
            logits: Tensor = self.head((x * used[..., None]).sum(1) / used.sum(1, keepdim=True))
            return logits
        y = self.embed(batch.input, 1)
        later = nn.Transformer.generate_square_subsequent_mask(y.shape[1], device=y.device)
        hidden = self.both(
            x,
            y,
            tgt_mask=later,
            tgt_is_causal=True,
            src_key_padding_mask=padding,
            memory_key_padding_mask=padding,
        )
        return functional.linear(hidden, self.tokens.weight)


class Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts operations that are not just another view."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += not func.is_view
        return func(*args, **(kwargs or {}))


def training(model: nn.Module, batch: Batch) -> Callable[[], None]:
    """One forward and backward pass."""
    loss = cross_entropy()
    model.train()

    def run() -> None:
        model.zero_grad(set_to_none=True)
        total, count = loss(model, batch)
        (total / count).backward()  # type: ignore[no-untyped-call]
        if batch.source.is_cuda:
            torch.cuda.synchronize()

    return run


def operations(run: Callable[[], None]) -> int:
    with Counter() as counter:  # type: ignore[no-untyped-call]
        run()
    return counter.count


def compare(kind: str, width: int, dropout: float, device: str, seconds: float) -> Figure:
    """Passes per second of one model beside its peer's."""
    task, heads = make_task(kind), max(4, width // 64)
    batch = task.train.batch(np.arange(SIZE)).map(lambda ids: torch.from_numpy(ids).to(device))
    make: Any = Encoder if kind == "classify" else EncoderDecoder
    ours = make(task, width=width, layers=LAYERS, heads=heads, dropout=dropout).to(device)
    theirs = Peer(kind, width, heads, dropout).to(device)
    passes = {"ours": training(ours, batch), "theirs": training(theirs, batch)}
    counts = [operations(run) for run in passes.values()]
    contestants: dict[str, Timed] = {name: timed(run) for name, run in passes.items()}
    start = perf_counter()
    interleaved(contestants, 1)
    taken = interleaved(contestants, max(8, int(2 * seconds / (perf_counter() - start))))
    mine, other = ([1 / each for each in taken[name]] for name in passes)
    name = "encoder" if kind == "classify" else "encoder-decoder"
    return compared(
        "training",
        f"{name} forward and backward, width {width}" + (f", dropout {dropout}" if dropout else ""),
        mine,
        "torch.nn",
        other,
        "passes/s",
        goal=f"at least {WANTED[width]}",
        limit=f"{counts[0]} operations; the peer has {counts[1]}",
    )


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seconds", type=float, default=8.0, help="for each line")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for width in WANTED:
        for kind in ("classify", "seq2seq"):
            for dropout in (0.0, 0.1):
                rows.append(compare(kind, width, dropout, asked.device, asked.seconds))
                print(line(rows[-1]), verdict(rows[-1], WANTED[width]), flush=True)
    save("layers", rows, card_of(asked.device))
