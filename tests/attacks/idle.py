"""A plugin whose trials take as long as they are told and compute next to nothing, without torch.

For attacks on all that is around a trial. Its numbers depend on seeds and options, and on nothing
else, so that tables of two runs are equal or something is wrong.
"""

import os
import time
from pathlib import Path

import numpy as np

import msbench

EXAMPLES = 40


@msbench.hookimpl
def register_tasks(register):
    register("dots", dots, fits=["classify"], preload=["idle_preload"])  # there, if a test wants it


@msbench.hookimpl
def register_models(register):
    register("line", line, learner="idle", fits=["classify"])


@msbench.hookimpl
def register_losses(register):
    register("none", none, learner="idle")


@msbench.hookimpl
def register_optimizers(register):
    register("wait", wait, learner="idle", space={"lr": (0.01, 1.0, "log")})


@msbench.hookimpl
def register_decoders(register):
    register("guess", none, learner="idle", fits=["classify"])


@msbench.hookimpl
def register_learners(register):
    register("idle", Idle)


def line(task):
    return None


def none():
    return None


def dots():
    def split(name):
        numbers = np.arange(EXAMPLES) + EXAMPLES * "tvs".index(name)
        labels = numbers % 2
        return msbench.Split(numbers[:, None] + 1, labels, labels.tolist())

    return msbench.Task(
        *("classify", split("t"), split("v"), split("s"), accuracy, "accuracy", 200, 2),
        readable=lambda predictions, references: (
            [str(int(each)) for each in predictions],
            [str(each) for each in references],
        ),
    )


def accuracy(predictions, references):
    """Without scikit-learn, which takes longer to import than a trial to run."""
    right = [float(a == b) for a, b in zip(predictions, references, strict=True)]
    return msbench.Scores({"accuracy": sum(right) / len(right)}, {"accuracy": right})


def wait(model, lr=0.1, seconds=0.0, jump=False, hog=False):
    """seconds: of every step. jump: the wall clock of this process goes on by a day in every step.
    hog: takes all the memory that it can get."""
    return {"lr": lr, "seconds": seconds, "jump": jump, "hog": hog}


def hold(stage):
    """In the stage that the environment names: leave a file, and wait until another one appears."""
    if os.environ.get("IDLE_HOLD") == stage:
        folder = Path(os.environ["IDLE_FOLDER"])
        (folder / "held").touch()
        while not (folder / "go").exists():
            time.sleep(0.02)


class Idle:
    """Sleeps through its steps."""

    stage = "trials"

    def __init__(self, task, *, model, loss, optimizer, seed, **rest):
        self.how, self.seed, self.steps = optimizer(model), seed, 0

    @staticmethod
    def check_device(device): ...

    def train_step(self, batch, aside=None):
        self.steps += 1
        hold("tuning" if self.seed >= 10_000 else self.stage)
        if self.how["jump"]:
            real = time.time
            time.time = lambda: real() + 86_400
        taken = []
        while self.how["hog"]:
            taken.append(np.ones(2**22))
        time.sleep(self.how["seconds"])
        return msbench.Step(1, self.loss())

    def loss(self):
        return self.seed * 1e-3 + 1 / (1 + self.how["lr"] * self.steps)

    def validate(self, batches):
        return self.loss()

    def predict(self, batch, decoder, meter=None):
        draws = np.random.default_rng([self.seed, int(self.how["lr"] * 1e6)])
        numbers = batch.source[:, 0] - 1
        right = draws.random(3 * EXAMPLES)[numbers] < 0.5 + 0.4 * self.how["lr"]
        return np.where(right, numbers % 2, 1 - numbers % 2).tolist()

    def set_rate(self, factor, spent):
        if factor < 1:  # as only measurements have it
            self.stage = "throughput"

    def reseed(self, purpose): ...

    def begin(self, loss, optimizer): ...

    def calibrate(self, decoder): ...

    def mode(self, training): ...

    def synchronize(self): ...

    def save(self, path, about): ...

    def load(self, path): ...

    def peak_memory(self, batch):
        return 1

    def optimizer_bytes(self):
        return 1

    def sent_bytes(self):
        return 0

    def flops(self):
        return 1.0

    def parameters(self):
        return 1

    def checksum(self):
        return float(self.steps)
