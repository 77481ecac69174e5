"""Training steps per second by precision, compile and graph, against hand-written loops.

    python benchmarks/training.py [--device cuda] [--shapes 1] [--seconds 20]

Three shapes of an encoder (width, layers, batch x length). All ways of one shape run in one
process, a few steps each in turn, in random order; a ratio is formed within the round. The bare
loop is as one would write it by hand; on CUDA, the best one is compiled, in bfloat16 and captured
whole. On a CPU there are no graphs, and compiling takes minutes: `--compile` asks for it.

Beside the speed, what it does to the score: the accuracy on held-out examples after a short
training on a small task that can be learned (which token is more frequent), the same seeds for all.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from itertools import cycle, islice
from statistics import fmean
from time import perf_counter
from typing import Any

import numpy as np
import torch
from figures import Figure, card_of, compared, figure, line, save
from rounds import Timed, interleaved

from msbench import Batch, Split, Task, evaluation_batches, training_batches
from msbench.builtin.decoders.labels import argmax
from msbench.builtin.learner import TorchLearner
from msbench.builtin.losses.pointwise import cross_entropy
from msbench.builtin.models.encoder import Encoder
from msbench.builtin.optimizers.torch_optim import adamw

SHAPES = {
    "64x2, 32x32": (64, 2, 32, 32),
    "256x4, 64x64": (256, 4, 64, 64),
    "768x12, 64x128": (768, 12, 64, 128),
}
WORDS = 1000


def make_task(size: int, length: int) -> Task:
    """Random tokens of one length: what is timed does not depend on them."""
    draw = np.random.default_rng(0)
    source = draw.integers(4, WORDS, (8 * size, length))
    labels = draw.integers(0, 5, len(source))
    split = Split(source, labels, labels.tolist())
    return Task("classify", split, split, split, lambda p, r: None, "accuracy", WORDS, 5)  # type: ignore[arg-type,return-value]


def model_of(width: int, layers: int) -> Callable[[Task], Any]:
    return lambda task: Encoder(task, width, layers, heads=max(4, width // 64))


def ours(
    task: Task, model: Any, batches: list[Batch], device: str, steps: int, **modes: Any
) -> Timed:
    """Steps of a learner."""
    learner = TorchLearner(
        task, model=model, loss=cross_entropy, optimizer=adamw, seed=0, device=device, **modes
    )
    learner.mode(training=True)
    endless = cycle(batches)

    def run() -> float:
        learner.synchronize()
        start = perf_counter()
        for number, batch in enumerate(islice(endless, steps)):
            learner.set_rate(1.0 - number / steps / 2, 0.0)
            learner.train_step(batch)
        learner.synchronize()
        return perf_counter() - start

    return run


def bare(
    task: Task, model: Any, batches: list[Batch], device: str, steps: int, *, best: bool
) -> Timed:
    """Steps of a hand-written loop on batches that are on the device already."""
    torch.manual_seed(0)
    network = model(task).to(device).train()
    rate: Any = torch.tensor(1e-3, device=device) if best else 1e-3
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, fused=True, capturable=best)
    placed = [batch.map(lambda a: torch.from_numpy(a).to(device)) for batch in batches]

    def loss_of(batch: Batch) -> Any:
        with torch.autocast(device, torch.bfloat16, enabled=best, cache_enabled=False):
            return torch.nn.functional.cross_entropy(network(batch).float(), batch.target)

    compiled = torch.compile(loss_of) if best else loss_of

    def step(batch: Batch) -> None:
        optimizer.zero_grad(set_to_none=True)
        compiled(batch).backward()
        optimizer.step()

    take = captured(step, placed[0]) if best else step
    endless = cycle(placed)

    def run() -> float:
        start = _now(device)
        for batch in islice(endless, steps):
            take(batch)
        return _now(device) - start

    return run


def captured(step: Callable[[Batch], None], like: Batch) -> Callable[[Batch], None]:
    """The step as one CUDA graph, by hand."""
    static = like.map(lambda tensor: tensor.clone())
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step(static)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step(static)

    def take(batch: Batch) -> None:
        static.source.copy_(batch.source)
        static.target.copy_(batch.target)
        graph.replay()

    return take


def _now(device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    return perf_counter()


def ways(device: str, compiles: bool) -> dict[str, dict[str, Any]]:
    """Names and settings of what is measured on this device."""
    chosen = ["float32", "bfloat16"]
    if device == "cuda":
        chosen += ["tf32", "float32 graph", "tf32 graph", "bfloat16 graph"]
    if compiles:
        chosen += ["bfloat16 compile", *["bfloat16 compile graph"] * (device == "cuda")]
    return {
        way: {"precision": way.split()[0], **dict.fromkeys(way.split()[1:], True)} for way in chosen
    }


def measure(name: str, device: str, seconds: float, compiles: bool) -> list[Figure]:
    """A row for each way at one shape."""
    width, layers, size, length = SHAPES[name]
    task, model = make_task(size, length), model_of(width, layers)
    batches = evaluation_batches(task.train, size)
    steps = 10 if device == "cuda" else 2
    loops: dict[str, Timed] = {"bare loop": bare(task, model, batches, device, steps, best=False)}
    if device == "cuda":
        loops["bare best"] = bare(task, model, batches, device, steps, best=True)
    for way, modes in ways(device, compiles).items():
        loops[way] = ours(task, model, batches, device, steps, **modes)
    interleaved(loops, 1)  # compiles and captures
    once = sum(interleaved(loops, 1)[way][0] for way in loops)
    taken = interleaved(loops, max(5, round(seconds / once)))
    speeds = {way: [steps / each for each in found] for way, found in taken.items()}
    weights = sum(p.numel() for p in model(task).parameters()) / 1e6
    shape = f"{width} x {layers}, batch {size} x {length} ({weights:.2g} M)"
    rows = [
        compared(
            "training", f"{shape}: {way}", speeds[way], "bare loop", speeds["bare loop"], "steps/s"
        )
        for way in loops
        if way not in ("bare loop", "bare best")
    ]
    if "bare best" in loops:
        best = max(ways(device, compiles), key=lambda way: fmean(speeds[way]))
        mine = speeds[best]
        rows += [
            compared("training", f"{shape}: {best}", mine, "bare loop, best", speeds["bare best"],
                     "steps/s", goal="at least 0.87", limit="rows copied, and the loss"),
            compared("training", f"{shape}: {best}", mine, "float32, eager", speeds["float32"],
                     "steps/s", goal="at least 10" if width == 64 else ""),
        ]  # fmt: skip
    return rows


def scores(device: str, compiles: bool, seeds: int, steps: int) -> dict[str, list[float]]:
    """Accuracy on held-out examples, by way, one number a seed: which of two tokens is there more
    often, or whether both are as often."""
    draw = np.random.default_rng(0)
    source = draw.integers(4, 9, (3072, 48))
    labels = 1 + np.sign((source == 4).sum(1) - (source == 5).sum(1))
    train, test = (
        Split(source[part], labels[part], labels[part].tolist())
        for part in (slice(2048), slice(2048, None))
    )
    task = Task("classify", train, test, test, lambda p, r: None, "accuracy", 9, 3)  # type: ignore[arg-type,return-value]
    return {
        way: [_accuracy(task, seed, steps, device=device, **modes) for seed in range(seeds)]
        for way, modes in ways(device, compiles).items()
    }


def _accuracy(task: Task, seed: int, steps: int, **modes: Any) -> float:
    learner = TorchLearner(
        task, model=Encoder, loss=cross_entropy, optimizer=lambda m: adamw(m, lr=3e-3), seed=seed,
        **modes,
    )  # fmt: skip
    learner.mode(training=True)
    batches = training_batches(task.train, 64, np.random.default_rng(seed))
    for number in range(steps):
        learner.set_rate(1.0 - number / steps, number / steps)
        learner.train_step(next(batches))
    learner.mode(training=False)
    held_out = evaluation_batches(task.test, 256)
    right = [
        np.argmax(learner.predict(batch, argmax()), axis=-1) == batch.target for batch in held_out
    ]
    return float(np.concatenate(right).mean())


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--shapes", type=int, default=3, help="how many, small first")
    parser.add_argument("--seconds", type=float, default=20, help="for each shape")
    parser.add_argument("--shape", choices=list(SHAPES), help=argparse.SUPPRESS)
    parser.add_argument("--compile", action="store_true", help="compile on a CPU, too")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=150, help="of the training that is scored")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    compiles = asked.compile or asked.device == "cuda"
    if asked.shape:
        rows = measure(asked.shape, asked.device, asked.seconds, compiles)
        sys.exit(print(json.dumps(rows)))
    found = scores(asked.device, compiles, asked.seeds, asked.steps)
    plain = 100 * fmean(found["float32"])
    name = f"accuracy on held-out texts, {asked.steps} steps, {asked.seeds} seeds"
    rows = [
        figure("scores", f"{name}: {way}", 100 * fmean(each), "%", peer="float32", peer_value=plain)
        for way, each in found.items()
    ]
    for shape in list(SHAPES)[: asked.shapes]:
        # In a process of its own: a loop that fails on a GPU takes all of its process with it.
        words = [sys.executable, *sys.argv, "--shape", shape]
        done = subprocess.run(words, stdout=subprocess.PIPE, text=True)
        rows += json.loads(done.stdout) if done.returncode == 0 else []
        print(f"{shape}: ended with {done.returncode}" if done.returncode else "", end="")
        print(*map(line, rows), sep="\n", flush=True)
        save("training", rows, card_of(asked.device))  # each shape, should the time run out


if __name__ == "__main__":
    main()
