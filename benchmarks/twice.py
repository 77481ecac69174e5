"""What gradients that can be differentiated cost, and what the guards of every step do.

    python benchmarks/twice.py [--device cpu] [--width 64] [--length 64] [--batch 32]

Prints milliseconds of a plain pass of an encoder, of one by kernels that can be differentiated
twice (`closure(create_graph=True)`), and of the product of the Hessian and a vector after it, as
medians; then microseconds that a step pays for seeing backward passes beside its closure, and those
of one look at whether a batch was changed, of which a trial takes one in every power of two.
"""

import argparse
import statistics
from collections.abc import Callable
from functools import partial
from time import perf_counter, process_time

import numpy as np
import torch

from msbench import Batch, Task, training_batches
from msbench.builtin.learner import TorchLearner
from msbench.builtin.losses.pointwise import cross_entropy
from msbench.builtin.models.encoder import Encoder
from msbench.builtin.optimizers.torch_optim import adamw
from msbench.builtin.passes import Unannounced
from msbench.data.task import Split
from msbench.run.seeds import stream

REPEATS = 30


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cpu")
    for name, default in (("width", 64), ("length", 64), ("batch", 32)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    task = random_texts(asked.length, 4 * asked.batch)
    learner = TorchLearner(
        task,
        model=partial(Encoder, width=asked.width, dropout=0.0),
        loss=cross_entropy,
        optimizer=adamw,
        seed=0,
        device=asked.device,
    )
    learner.mode(training=True)
    batch = next(training_batches(task.train, asked.batch, stream(0, "order")))
    plain = timed(learner, lambda: one_pass(learner, batch, create_graph=False))
    graph = timed(learner, lambda: one_pass(learner, batch, create_graph=True))
    both = timed(learner, lambda: with_product(learner, batch))
    print(f"plain pass                      {plain:8.2f} ms")
    print(f"pass that is differentiable     {graph:8.2f} ms  {graph / plain:5.2f} times")
    product = both - graph
    print(f"Hessian-vector product after it {product:8.2f} ms  {product / plain:5.2f} times")
    watch = Unannounced()

    def watched() -> None:
        with watch.counted(), watch.announced():
            pass

    print(f"watching a step                 {repeated(watched):8.2f} us")
    print(f"looking at a batch              {repeated(batch.checksum):8.2f} us")


def random_texts(length: int, examples: int) -> Task:
    """A task of random tokens."""
    draw = np.random.default_rng(0)
    source = draw.integers(4, 1000, (examples, length))
    labels = draw.integers(0, 2, examples)
    split = Split(source, labels, labels.tolist())
    return Task("classify", split, split, split, lambda *_: None, "accuracy", 1000, classes=2)  # type: ignore[arg-type, return-value]


def one_pass(learner: TorchLearner, batch: Batch, create_graph: bool) -> None:
    """A forward and a backward pass."""
    learner.optimizer.zero_grad()
    learner._gradient(learner._place(batch), learner.loss, create_graph)


def with_product(learner: TorchLearner, batch: Batch) -> None:
    """A pass, and the product of the Hessian and the gradient."""
    one_pass(learner, batch, create_graph=True)
    weights = [p for p in learner.model.parameters() if p.grad is not None]
    gradients = [p.grad for p in weights]
    torch.autograd.grad(
        gradients,
        weights,
        grad_outputs=[g.detach() for g in gradients if g is not None],
        materialize_grads=True,
        allow_unused=True,
    )


def timed(learner: TorchLearner, work: Callable[[], None]) -> float:
    """Median of milliseconds."""
    times = []
    for _ in range(REPEATS + 3):
        start = perf_counter()
        work()
        learner.synchronize()
        times.append(1e3 * (perf_counter() - start))
    return statistics.median(times[3:])


def repeated(work: Callable[[], object], times: int = 2000) -> float:
    """Mean of microseconds of the processor."""
    start = process_time()
    for _ in range(times):
        work()
    return 1e6 * (process_time() - start) / times


if __name__ == "__main__":
    main()
