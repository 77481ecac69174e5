"""Learners that are wrong, each in one way, and the parts that they need."""

import torch

import msbench
from msbench.builtin.decoders.labels import argmax
from msbench.builtin.learner import TorchLearner
from msbench.builtin.losses.pointwise import cross_entropy
from msbench.builtin.models.bag import Bag
from msbench.builtin.optimizers.torch_optim import sgd

BREAKS = {
    "mean-of-means": "validates-exactly",
    "unseeded": "trains-from-its-seed",
    "deaf": "obeys-the-rate",
    "free": "counts-its-passes",
    "half-saved": "saves-and-loads",
}


@msbench.hookimpl
def register_learners(register):
    for name in BREAKS:
        register(name, FACTORIES[name], idea="Wrong on purpose.")


def beside(register, name, factory, **facts):
    """A part for each of the learners."""
    for learner in BREAKS:
        register(f"{learner}-{name}", factory, idea="x", learner=learner, **facts)


@msbench.hookimpl
def register_models(register):
    beside(register, "bag", lambda task: Bag(task, width=16, dropout=0.0), fits=["classify"])


@msbench.hookimpl
def register_losses(register):
    beside(register, "loss", cross_entropy)


@msbench.hookimpl
def register_optimizers(register):
    beside(register, "sgd", lambda model, lr=1.0: sgd(model, lr))


@msbench.hookimpl
def register_decoders(register):
    beside(register, "argmax", argmax, fits=["classify"])


class MeanOfMeans(TorchLearner):
    def validate(self, batches):
        return sum(super(MeanOfMeans, self).validate([each]) for each in batches) / len(batches)


class Unseeded(TorchLearner):
    def reseed(self, purpose):
        torch.seed()


class Deaf(TorchLearner):
    def set_rate(self, factor, spent):
        return None


class Free(TorchLearner):
    def train_step(self, batch, aside=None):
        return msbench.Step(0.0, super().train_step(batch, aside).loss)


class HalfSaved(TorchLearner):
    def load(self, path):
        return None


FACTORIES = {
    "mean-of-means": MeanOfMeans,
    "unseeded": Unseeded,
    "deaf": Deaf,
    "free": Free,
    "half-saved": HalfSaved,
}
