"""How many small trials a GPU trains at once: processes, and captured steps on several streams.

    python benchmarks/sharing.py [--most 16] [--seconds 2]

The encoder of width 64 and 2 layers, batches of 32 texts of 32 tokens, AdamW. In `processes`, each
of 1, 4 and 16 trains a model of its own, eagerly and with captured steps; all begin at the same
moment, and their steps in the next seconds count. In `streams`, one process trains as many models
in turn, each captured and on a stream of its own. Peer of all is one process. Where NVIDIA's MPS
can be started, the processes are measured with it, too.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import cycle
from tempfile import TemporaryDirectory
from time import perf_counter

from msbench.run.device import limit_threads

limit_threads(1)

import torch
from figures import Figure, card_of, figure, line, save
from training import make_task, model_of

from msbench import evaluation_batches
from msbench.builtin.learner import TorchLearner
from msbench.builtin.losses.pointwise import cross_entropy
from msbench.builtin.optimizers.torch_optim import adamw

WAYS = {"eager": False, "captured": True}
COUNTS = (1, 4, 16)


def steps_in(seconds: float, models: int, graph: bool, ready: bool = True) -> float:
    """Steps per second of so many models in this process; waits for a word before it counts."""
    task = make_task(32, 32)
    batches = evaluation_batches(task.train, 32)
    learners = [
        TorchLearner(
            task, model=model_of(64, 2), loss=cross_entropy, optimizer=adamw, seed=seed,
            device="cuda", graph=graph,
        )
        for seed in range(models)
    ]  # fmt: skip
    streams = [torch.cuda.Stream() for _ in learners]
    endless = cycle(batches)

    def step() -> None:
        batch = next(endless)
        for learner, stream in zip(learners, streams, strict=True):
            with torch.cuda.stream(stream):
                learner.train_step(batch)

    for learner in learners:
        learner.mode(training=True)
    for _ in range(10):
        step()
    torch.cuda.synchronize()
    if ready:
        print("ready", flush=True)
        sys.stdin.readline()
    start, done = perf_counter(), 0
    while perf_counter() - start < seconds:
        for _ in range(10):
            step()
        torch.cuda.synchronize()
        done += 10 * models
    return done / (perf_counter() - start)


def child(seconds: float) -> None:
    """Both ways, when told to begin."""
    for graph in WAYS.values():
        print(steps_in(seconds, 1, graph), flush=True)


def processes(count: int, seconds: float) -> list[float]:
    """Steps per second of so many processes together, for each of WAYS."""
    words = [sys.executable, __file__, "--child", "--seconds", str(seconds)]
    with ExitStack() as stack:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        started = [
            stack.enter_context(subprocess.Popen(words, **pipes))  # type: ignore[call-overload]
            for _ in range(count)
        ]
        found = []
        for _ in WAYS:
            assert all(each.stdout.readline() == "ready\n" for each in started)
            for each in started:
                each.stdin.write("\n")
                each.stdin.flush()
            found.append(sum(float(each.stdout.readline()) for each in started))
        return found


@contextmanager
def multi_process_service() -> Iterator[bool]:
    """NVIDIA's MPS while the context lasts, if it can be started."""
    control = shutil.which("nvidia-cuda-mps-control")
    if control is None:
        yield False
        return
    with TemporaryDirectory() as folder:
        os.environ |= {"CUDA_MPS_PIPE_DIRECTORY": folder, "CUDA_MPS_LOG_DIRECTORY": folder}
        started = subprocess.run([control, "-d"], check=False).returncode == 0
        try:
            yield started
        finally:
            subprocess.run([control], input="quit\n", text=True, check=False)
            del os.environ["CUDA_MPS_PIPE_DIRECTORY"], os.environ["CUDA_MPS_LOG_DIRECTORY"]


def rows_of(name: str, found: Sequence[float], base: Sequence[float]) -> list[Figure]:
    """A row for each of WAYS."""
    return [
        {
            **figure("run", f"{name}, {way}", mine, "steps/s", peer=f"1 process, {way}"),
            "peer_value": alone,
            "ratio": mine / alone,
        }
        for way, mine, alone in zip(WAYS, found, base, strict=True)
    ]


def measured(most: int, seconds: float) -> Iterator[Figure]:
    """All rows; a way of sharing that fails is named and left out."""
    base: list[float] = []
    for count in (each for each in COUNTS if each <= most):
        found = processes(count, seconds)
        base = base or found
        yield from rows_of(f"a GPU shared by {count} processes", found, base)
    for count in (each for each in COUNTS if 1 < each <= most):
        found = [steps_in(seconds, count, graph, ready=False) for graph in WAYS.values()]
        yield from rows_of(f"{count} models on streams of one process", found, base)
    with multi_process_service() as started:
        if not started:
            print("MPS is not there")
            return
        try:
            found = processes(most, seconds)
        except (AssertionError, ValueError):
            print("no process could use MPS")
            return
        yield from rows_of(f"a GPU shared by {most} processes with MPS", found, base)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=COUNTS[-1])
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.child:
        child(asked.seconds)
        sys.exit()
    rows = []
    for row in measured(asked.most, asked.seconds):
        rows.append(row)
        print(line(row), flush=True)
        save("sharing", rows, card_of("cuda"))
