"""Learners that are wrong, each in one way, and the parts that they need."""

import torch

import msbench
from msbench.builtin.decoders.labels import argmax as argmax
from msbench.builtin.learner import TorchLearner
from msbench.builtin.losses.pointwise import cross_entropy as cross_entropy
from msbench.builtin.models.bag import Bag
from msbench.builtin.optimizers.torch_optim import sgd


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


def bag(task):
    return Bag(task, width=16, dropout=0.0)


def fast_sgd(model, lr=1.0):
    return sgd(model, lr)
