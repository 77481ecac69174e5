"""Schedules that come with msbench."""

from functools import partial

import msbench
from msbench import Register


@msbench.hookimpl
def register_schedules(register: Register) -> None:
    where = "msbench.builtin.schedules.factors:"
    warmed = partial(register, space={"warmup": (0.0, 0.1, "choice")})
    warmed(
        "constant",
        where + "constant",
        idea="One learning rate after the warm-up.",
        helps="Budgets that are not known yet, with averaged weights (Izmailov et al., 2018).",
    )
    warmed(
        "linear",
        where + "linear",
        idea="Down to zero, or to a floor, in a straight line.",
        helps="Known budgets: best or close to it over many tasks (Defazio et al., 2023, Optimal "
        "linear decay).",
    )
    warmed(
        "cosine",
        where + "cosine",
        idea="Down to zero, or to a floor, along half a cosine.",
        paper="Loshchilov and Hutter, 2017, SGDR",
        helps="Known budgets: it must end where training does (Hoffmann et al., 2022).",
    )
    warmed(
        "wsd",
        where + "wsd",
        idea="Warm-up, one rate, and down to zero at the end.",
        paper="Hu et al., 2024, MiniCPM; Zhai et al., 2022, Scaling vision transformers",
        helps="Budgets that are not known yet: the way down can start at any time (Hägele et al., "
        "2024).",
    )
    register(
        "inverse-sqrt",
        where + "inverse_sqrt",
        idea="Falling as one over the root of the steps.",
        paper="Vaswani et al., 2017, Attention is all you need",
        helps="Budgets that are not known yet, with a warm-up (Vaswani et al., 2017).",
    )
    warmed(
        "multistep",
        where + "multistep",
        idea="Ten times less at each milestone.",
        helps="Long training with SGD that stands still between milestones (He et al., 2016).",
    )
