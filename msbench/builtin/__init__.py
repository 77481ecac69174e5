"""Our own parts, registered through the same hooks as anyone's."""

from functools import partial

import msbench
from msbench import Register
from msbench.builtin.commands import register_commands
from msbench.builtin.decoders import register_decoders
from msbench.builtin.losses import register_losses
from msbench.builtin.models import register_models
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
    register(
        "linear",
        "msbench.builtin.linear.learner:LinearLearner",
        idea="Baselines of scikit-learn and of counting, fitted in one step: for yardsticks.",
    )


@msbench.hookimpl
def register_launchers(register: Register) -> None:
    register(
        "processes",
        "msbench.run.processes:processes",
        idea="One process per trial on this machine.",
    )


@msbench.hookimpl
def register_metrics(register: Register) -> None:
    texts = partial(register, fits=["seq2seq", "lm"])
    where = "msbench.builtin.metrics:"
    texts(
        "bleu-chrf",
        where + "bleu_chrf",
        idea="BLEU and chrF, by sacrebleu: how much of the reference is there.",
        paper="Papineni et al., 2002; Popović, 2015; Post, 2018",
    )
    texts(
        "rouge",
        where + "rouge",
        idea="ROUGE-1, ROUGE-2 and ROUGE-L (F-measure), as summaries are scored.",
        paper="Lin, 2004, ROUGE: a package for automatic evaluation of summaries",
    )
    texts(
        "exact-f1",
        where + "exact_f1",
        idea="The share of outputs that are the reference, and F1 of their words.",
        paper="Rajpurkar et al., 2016, SQuAD",
    )


@msbench.hookimpl
def register_observers(register: Register) -> None:
    register(
        "json-lines",
        "msbench.builtin.observers:json_lines",
        idea="Every event of a run as a line of JSON, in a file beside its records.",
    )
