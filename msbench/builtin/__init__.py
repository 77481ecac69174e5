"""Our own parts, registered through the same hooks as anyone's."""

import msbench
from msbench import Register
from msbench.builtin.commands import register_commands
from msbench.builtin.decoders import register_decoders
from msbench.builtin.losses import register_losses
from msbench.builtin.metrics import register_metrics
from msbench.builtin.models import register_models
from msbench.builtin.observers import register_observers
from msbench.builtin.optimizers import register_optimizers
from msbench.builtin.schedules import register_schedules
from msbench.builtin.settings import SETTINGS
from msbench.builtin.tasks import register_tasks

__all__ = [
    "register_commands",
    "register_decoders",
    "register_launchers",
    "register_learners",
    "register_losses",
    "register_metrics",
    "register_models",
    "register_observers",
    "register_optimizers",
    "register_schedules",
    "register_tasks",
]


@msbench.hookimpl
def register_learners(register: Register) -> None:
    register(
        "torch",
        "msbench.builtin.learner:TorchLearner",
        idea="PyTorch, on CPU or CUDA.",
        settings=SETTINGS,
        preload=["torch._dynamo"],  # a second that the first optimizer of a process would pay
    )


@msbench.hookimpl
def register_launchers(register: Register) -> None:
    register(
        "processes",
        "msbench.run.processes:processes",
        idea="One process per trial on this machine.",
    )
