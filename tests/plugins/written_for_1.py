"""A plugin as it was written for version 1 of the contract, with every kind of part that trains.

It must stay as it is: it stands for plugins that nobody changes any more.
"""

import torch
from torch.nn import functional

import msbench


@msbench.hookimpl
def register_tasks(register):
    register("old-task", old_task, fits=["seq2seq"], idea="Copying letters.")


@msbench.hookimpl
def register_models(register):
    register("old-model", OldModel, fits=["seq2seq"], idea="A table of letters.")


@msbench.hookimpl
def register_losses(register):
    register("old-loss", old_loss, idea="Cross-entropy.")


@msbench.hookimpl
def register_optimizers(register):
    register("old-optimizer", OldOptimizer, idea="SGD twice.", space={"lr": (1e-3, 1.0, "log")})
    register("old-wrapper", OldWrapper, steps="passes", passes=2)


@msbench.hookimpl
def register_schedules(register):
    register("old-schedule", lambda floor=0.1: lambda spent: 1 - (1 - floor) * spent)


@msbench.hookimpl
def register_decoders(register):
    register("old-decoder", OldDecoder, fits=["seq2seq"], streams=True)


def old_task(examples=60):
    pairs = [(chr(97 + n % 26) * 2, chr(97 + n % 26)) for n in range(examples)]
    splits = {"train": pairs[:40], "validation": pairs[40:50], "test": pairs[50:]}
    return msbench.translation(
        splits,
        score=msbench.exact_f1,
        metric="exact",
        max_source=4,
        max_target=4,
        vocabulary=60,
    )


class OldModel(torch.nn.Module):
    max_length = 4

    def __init__(self, task, width=8):
        super().__init__()
        self.read = torch.nn.Embedding(task.vocabulary, width)
        self.write = torch.nn.Linear(width, task.vocabulary)

    def forward(self, batch):
        known = self.read(batch.source).mean(1, keepdim=True)
        return self.write(known + self.read(batch.input))

    def start(self, batch):
        return OldState(self.read(batch.source).mean(1))

    def step(self, state, tokens):
        return self.write(state.known + self.read(tokens)), state


class OldState:
    def __init__(self, known):
        self.known = known

    def select(self, rows):
        return OldState(self.known[rows])


def old_loss(task):
    def loss(model, batch):
        assert len(batch.references) == len(batch.rows)  # losses see those of training
        logits = model(batch).flatten(0, 1)
        target = batch.target.flatten()
        total = functional.cross_entropy(
            logits, target, ignore_index=msbench.IGNORE, reduction="sum"
        )
        return total, (target != msbench.IGNORE).sum()

    return loss


class OldOptimizer(torch.optim.SGD):
    def __init__(self, model, lr=0.1):
        super().__init__(model.parameters(), lr=lr)

    def step(self, closure):
        loss = closure()
        super().step()
        return loss


class OldWrapper(torch.optim.Optimizer):
    def __init__(self, model, base):
        self.base = base(model)
        super().__init__(self.base.param_groups, {})

    def step(self, closure):
        def again():
            closure()
            return closure()

        return self.base.step(again)


class OldDecoder:
    def __init__(self, task, longest: int = 3):
        self.task, self.longest = task, longest

    def calibrate(self, model):
        for batch in msbench.evaluation_batches(self.task.validation, 8):
            assert len(batch.references) == len(batch.rows)

    @torch.no_grad()
    def __call__(self, model, batch):
        state = model.start(batch)
        tokens = torch.full((len(batch.rows),), msbench.BEGIN)
        written = []
        for _ in range(self.longest):
            logits, state = model.step(state, tokens)
            tokens = logits.argmax(-1)
            written.append(tokens)
        rows = torch.stack(written, dim=1).tolist()
        outputs = [row[: row.index(msbench.END)] if msbench.END in row else row for row in rows]
        assert len(self.task.spell(outputs, [None] * len(outputs))) == len(outputs)
        return outputs
