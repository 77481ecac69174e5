"""How a training step and a decoded token cost more as work grows: weights, length, batch, beam.

    python benchmarks/growth.py [--quick] [--device cuda]

Weights 0.1 M to 100 M (encoder, batches of 4 x 32 tokens), length 32 to 512 and batch 8 to 512
(encoder of width 64, AdamW), beam 1 to 64 (encoder-decoder of width 128, 8 sources, 16 tokens). The
sizes of a row take turns in random order; the figure is the median, and beside it is the cost of
the size before times what the work grew by: proportional growth is a ratio of 1. One thread.
`--quick` leaves out the largest sizes.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from typing import Any

from msbench.run.device import limit_threads

limit_threads(1)

import numpy as np
import torch
from figures import Figure, compared, figure, save
from rounds import Timed, interleaved, timed

from msbench import Split, Task
from msbench.builtin.decoders.beam import beam
from msbench.builtin.learner import TorchLearner
from msbench.builtin.losses.pointwise import cross_entropy
from msbench.builtin.models.encoder import Encoder
from msbench.builtin.models.encoder_decoder import EncoderDecoder
from msbench.builtin.optimizers.torch_optim import adamw

ROUNDS, VOCABULARY = 5, 1000
MODELS = {0.1: (32, 1), 1.0: (128, 4), 10.0: (384, 5), 100.0: (1024, 8)}
"""Millions of weights, about -> width and layers."""

NAMES = {
    "weights": "{:g} M weights",
    "length": "length {:g}",
    "batch": "batch of {:g}",
    "beam": "beam of {:g}",
}

LIMITS = {
    "weights": "matrix products; small models also what each operation costs to start",
    "length": "feed-forward is linear in the length, attention quadratic",
    "batch": "memory bandwidth, once a batch no longer fits the caches",
    "beam": "scores of the vocabulary, for every beginning",
}


def classification(length: int, examples: int) -> Task:
    """Random tokens; what is timed does not depend on them."""
    draw = np.random.default_rng(0)
    source, labels = draw.integers(4, VOCABULARY, (examples, length)), draw.integers(0, 5, examples)
    split = Split(source, labels, labels.tolist())
    return Task("classify", split, split, split, lambda p, r: None, "accuracy", VOCABULARY, 5)


def a_step(device: str, width: int, layers: int, length: int, examples: int) -> tuple[Timed, float]:
    """(one training step, millions of weights)."""
    task = classification(length, examples)
    learner = TorchLearner(
        task,
        model=partial(Encoder, width=width, layers=layers, heads=max(2, width // 64)),
        loss=cross_entropy,
        optimizer=lambda model: adamw(model),
        seed=0,
        device=device,
    )
    learner.mode(training=True)
    batch = task.train.batch(np.arange(examples))

    def step() -> None:
        learner.train_step(batch)
        learner.synchronize()

    return timed(step), learner.parameters() / 1e6


def a_beam(device: str, width: int) -> Timed:
    """A search for exactly 16 tokens of 8 sources."""
    draw = np.random.default_rng(0)
    ids = draw.integers(4, VOCABULARY, (8, 16))
    split = Split(ids, ids, [""] * 8, ids)
    task = Task("seq2seq", split, split, split, None, "bleu", VOCABULARY)  # type: ignore[arg-type]
    torch.manual_seed(0)
    model = EncoderDecoder(task, width=128, layers=2, heads=4).eval().to(device)
    batch = task.test.batch(np.arange(8)).map(lambda ids: torch.from_numpy(ids).to(device))
    search = beam(width, length_penalty=0.0, min_length=16, max_length=16)
    return timed(torch.inference_mode()(lambda: search(model, batch)))


def rows(
    what: str, unit: str, sizes: Sequence[float], works: Sequence[Timed], rounds: int
) -> list[Figure]:
    """A figure for each size; its peer is what proportional growth would give."""
    contestants = {str(size): work for size, work in zip(sizes, works, strict=True)}
    seconds = list(interleaved(contestants, rounds).values())
    names = [NAMES[what].format(size) for size in sizes]
    found = [figure("growth", names[0], 1e3 * median(seconds[0]), unit, limit=LIMITS[what])]
    for number in range(1, len(sizes)):
        grown = sizes[number] / sizes[number - 1]
        expected = [1 / (grown * each) for each in seconds[number - 1]]
        mine = [1 / each for each in seconds[number]]
        row = compared("growth", names[number], mine, "", expected, unit)
        row |= {"value": 1e3 * median(seconds[number]), "limit": LIMITS[what]}
        row |= {"peer": "proportional", "peer_value": 1e3 * grown * median(seconds[number - 1])}
        found.append(row)
        print(
            f"{row['name']:14} {row['value']:9,.1f} {unit}, proportional growth: {row['ratio']:.2f}"
        )
    return found


def measured(device: str, quick: bool, rounds: int) -> list[Figure]:
    """All rows."""
    most = -1 if quick else None
    step = partial(a_step, device)
    models = [step(*MODELS[size], 32, 4) for size in list(MODELS)[:most]]
    lengths, batches, beams = (32, 128, 512)[:most], (8, 64, 512)[:most], (1, 4, 16, 64)[:most]
    axes: list[tuple[str, str, Sequence[float], Callable[[], list[Any]]]] = [
        ("weights", "ms/step", [round(m, 2) for _, m in models], lambda: [t for t, _ in models]),
        ("length", "ms/step", lengths, lambda: [step(64, 2, n, 16)[0] for n in lengths]),
        ("batch", "ms/step", batches, lambda: [step(64, 2, 32, n)[0] for n in batches]),
        ("beam", "ms/search", beams, lambda: [a_beam(device, n) for n in beams]),
    ]
    return [row for name, unit, of, works in axes for row in rows(name, unit, of, works(), rounds)]


if __name__ == "__main__":
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    asked = parser.parse_args()
    card = torch.cuda.get_device_name() if asked.device != "cpu" else ""
    save("growth", measured(asked.device, asked.quick, asked.rounds), card)
