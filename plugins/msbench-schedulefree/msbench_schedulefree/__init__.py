"""Schedule-free optimizers (Defazio et al., 2024, The road less scheduled), for msbench."""

import msbench

PAPER = "Defazio et al., 2024, The road less scheduled"
HELPS = "Budgets not known yet: it keeps up with schedules made for one (Defazio et al., 2024)."


@msbench.hookimpl
def register_optimizers(register: msbench.Register) -> None:
    where = "msbench_schedulefree.optimizers:"  # as text: listing plugins imports no torch
    register(
        "schedulefree-adamw",
        where + "adamw",
        idea="AdamW that evaluates a running mean of its weights instead of following a schedule.",
        paper=PAPER,
        steps="slow-weights",
        base="adamw",
        helps=HELPS,
        space={"lr": (1e-3, 1e-1, "log")},
    )
    register(
        "schedulefree-radam",
        where + "radam",
        idea="The same with rectified Adam, which needs no warm-up.",
        paper=PAPER,
        steps="slow-weights",
        base="adam",
        helps=HELPS,
        space={"lr": (1e-3, 1e-1, "log")},
    )
    register(
        "schedulefree-sgd",
        where + "sgd",
        idea="SGD that evaluates a running mean of its weights instead of following a schedule.",
        paper=PAPER,
        steps="slow-weights",
        base="sgd",
        helps=HELPS,
        space={"lr": (1e-1, 10.0, "log")},
    )
