"""Schedule-free optimizers (Defazio et al., 2024, The road less scheduled), for msbench."""

from functools import partial

import msbench


@msbench.hookimpl
def register_optimizers(register: msbench.Register) -> None:
    where = "msbench_schedulefree.optimizers:"  # as text: listing plugins imports no torch
    schedule_free = partial(
        register,
        paper="Defazio et al., 2024, The road less scheduled",
        steps="slow-weights",
        helps="Budgets not known yet: it keeps up with schedules made for one (Defazio et al., "
        "2024).",
    )
    schedule_free(
        "schedulefree-adamw",
        where + "adamw",
        idea="AdamW that evaluates a running mean of its weights instead of following a schedule.",
        base="adamw",
        space={"lr": (1e-3, 1e-1, "log")},
    )
    schedule_free(
        "schedulefree-radam",
        where + "radam",
        idea="The same with rectified Adam, which needs no warm-up.",
        base="adam",
        space={"lr": (1e-3, 1e-1, "log")},
    )
    schedule_free(
        "schedulefree-sgd",
        where + "sgd",
        idea="SGD that evaluates a running mean of its weights instead of following a schedule.",
        base="sgd",
        space={"lr": (1e-1, 10.0, "log")},
    )
