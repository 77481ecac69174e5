"""Samples per second of our training loop against transformers' Trainer and Lightning.

    python benchmarks/trainers.py [--device cuda] [--rounds N]
    (needs: pip install transformers accelerate lightning, each is left out if it is missing)

The same model class (our encoder, width 64, 2 layers), the same batches of 32 texts of 32 tokens
and the same fused AdamW with a linear schedule, one thread; checkpoints, progress bars, logging and
evaluation are off. STEPS steps a round, what precedes the first step included, since each offers
no clock of its own; rounds are interleaved. Wanted: at least 1.10 times their samples per second.
"""

import argparse
import logging
import warnings
from itertools import cycle, islice
from tempfile import TemporaryDirectory
from typing import Any

import torch
from figures import card_of, compared, line, save, verdict
from loop import make_task
from rounds import Timed, interleaved, timed
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

from msbench import Batch, Task, evaluation_batches
from msbench.builtin.learner import TorchLearner
from msbench.builtin.losses.pointwise import cross_entropy
from msbench.builtin.models.encoder import Encoder
from msbench.builtin.optimizers.torch_optim import adamw
from msbench.builtin.schedules.factors import linear
from msbench.run.train import train
from msbench.spec import Training

STEPS, RATE, WANTED = 60, 1e-3, 1.10


class Classifier(nn.Module):
    """Our encoder as the others want a model: keywords in, a loss and logits out."""

    def __init__(self, task: Task):
        super().__init__()
        self.encoder = Encoder(task)

    def forward(self, source: Tensor, labels: Tensor) -> dict[str, Tensor]:
        batch = Batch(source, None, labels, None, 0, same_length=source.shape[1])  # type: ignore[arg-type]
        logits = self.encoder(batch)
        return {"loss": functional.cross_entropy(logits, labels), "logits": logits}


def loader(batches: list[Batch]) -> Any:
    """STEPS of the batches as dictionaries of tensors, already put together."""
    chosen = islice(cycle(batches), STEPS)
    made = [{"source": torch.tensor(b.source), "labels": torch.tensor(b.target)} for b in chosen]
    return DataLoader(made, batch_size=None)  # type: ignore[arg-type]


def fused(model: nn.Module) -> tuple[Any, Any]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, fused=True)
    return optimizer, torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=STEPS)


def ours(task: Task, batches: list[Batch], device: str) -> Timed:
    learner = TorchLearner(
        task, model=Encoder, loss=cross_entropy, optimizer=adamw, seed=0, device=device
    )
    training = Training(passes=STEPS, validations=1)
    return timed(lambda: train(learner, cycle(batches), batches[:1], training, linear()))


def trainer(task: Task, batches: list[Batch], device: str) -> Timed:
    """transformers' Trainer."""
    from transformers import PrinterCallback, ProgressCallback, Trainer, TrainingArguments

    data = loader(batches)

    class Given(Trainer):  # type: ignore[misc]
        def get_train_dataloader(self) -> Any:
            return data

    folder = TemporaryDirectory()
    arguments = TrainingArguments(
        folder.name, max_steps=STEPS, save_strategy="no", logging_strategy="no", report_to=[],
        use_cpu=device == "cpu", disable_tqdm=True, max_grad_norm=0.0, remove_unused_columns=False,
    )  # fmt: skip
    model = Classifier(task)

    def run() -> None:
        made = Given(model, arguments, train_dataset=data.dataset, optimizers=fused(model))
        for callback in (PrinterCallback, ProgressCallback):
            made.remove_callback(callback)
        made.train()
        assert folder

    return timed(run)


def lightning(task: Task, batches: list[Batch], device: str) -> Timed:
    """Lightning's Trainer."""
    from lightning import LightningModule, Trainer

    class Module(LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = Classifier(task)

        def training_step(self, batch: Any, number: int) -> Tensor:
            loss: Tensor = self.model(**batch)["loss"]
            return loss

        def configure_optimizers(self) -> Any:
            optimizer, schedule = fused(self)
            return [optimizer], [{"scheduler": schedule, "interval": "step"}]

    module, data = Module(), loader(batches)
    off = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    kind = "cpu" if device == "cpu" else "gpu"

    def run() -> None:
        made = Trainer(
            max_steps=STEPS, accelerator=kind, devices=1, enable_model_summary=False, **off
        )
        made.fit(module, data)

    return timed(run)


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=9)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    task = make_task()
    batches = evaluation_batches(task.train, 32)
    contestants = {"msbench": ours(task, batches, asked.device)}
    for name, make in (("transformers", trainer), ("lightning", lightning)):
        try:
            contestants[name] = make(task, batches, asked.device)
        except ImportError as error:
            print(f"{name:13} left out: {error}")
    taken = interleaved(contestants, asked.rounds)
    rates = {name: [STEPS * 32 / each for each in seconds] for name, seconds in taken.items()}
    limit, goal = "what each operation costs to start", f"at least {WANTED}"
    rows = [
        compared(
            "training",
            f"training beside {name}, width 64, batch 32",
            rates["msbench"],
            name,
            each,
            "examples/s",
            goal=goal,
            limit=limit,
        )
        for name, each in rates.items()
        if name != "msbench"
    ]
    for row in rows:
        print(line(row), verdict(row, WANTED))
    save("trainers", rows, card_of(asked.device))
