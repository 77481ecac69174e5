"""A second model that is trained for decoding the first: to rerank its outputs or to draft them."""

from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import Any

import torch
from torch import nn

import msbench
from msbench import Task
from msbench.builtin.optimizers.torch_optim import adamw
from msbench.builtin.schedules.factors import linear

BATCH, RATE = 32, 3e-3


class SecondModel:
    """Trained once, by AdamW on cross-entropy, from torch's seed; it predicts without dropout."""

    def __init__(self, task: Task, model: Callable[[Task], nn.Module], passes: int):
        self.task, self.make, self.passes = task, model, passes
        self._model: nn.Module | None = None

    @property
    def model(self) -> Any:
        """The trained model; MsbenchError before `calibrate`."""
        if self._model is None:
            raise msbench.MsbenchError("the second model was not trained: calibrate the decoder")
        return self._model

    def calibrate(self, model: nn.Module) -> None:
        """Train it on the device of the first model; torch's generators stay as they were."""
        from msbench.builtin.learner import TorchLearner
        from msbench.builtin.losses.pointwise import cross_entropy

        device = next(model.parameters()).device
        seed = torch.initial_seed()
        devices = [device] if device.type == "cuda" else []
        with (
            torch.random.fork_rng(devices=devices),
            torch.inference_mode(False),
            torch.enable_grad(),
        ):
            learner = TorchLearner(
                self.task,
                model=self.make,
                loss=cross_entropy,
                optimizer=partial(adamw, lr=RATE),
                seed=seed,
                device=str(device),
                threads=torch.get_num_threads(),
            )
            schedule, split = linear(), self.task.train
            batches = msbench.training_batches(split, BATCH, msbench.stream(seed, "second model"))
            learner.mode(training=True)
            for step, batch in enumerate(islice(batches, self.passes)):
                spent = step / self.passes
                learner.set_rate(schedule(spent), spent)
                learner.train_step(batch)
            learner.mode(training=False)
        self._model = learner.model
