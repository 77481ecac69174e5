"""Losses that come with msbench."""

from functools import partial

import msbench
from msbench import Register


@msbench.hookimpl
def register_losses(register: Register) -> None:
    where = "msbench.builtin.losses."
    sequence = partial(register, fits=["seq2seq", "lm"])
    register(
        "cross-entropy",
        where + "pointwise:cross_entropy",
        idea="Negative log-likelihood of the right label or token; can smooth labels.",
        paper="Szegedy et al., 2016, Rethinking the inception architecture (label smoothing)",
        helps="The default: it is least for the true probabilities; smoothed labels help "
        "calibration (Müller et al., 2019).",
    )
    register(
        "mse",
        where + "pointwise:mse",
        idea="Squared distance from the probabilities to the one-hot target (Brier's score).",
        paper="Brier, 1950, Verification of forecasts expressed in terms of probability",
        helps="Classification with few classes, where it is on a par with cross-entropy (Hui and "
        "Belkin, 2021).",
    )
    register(
        "focal",
        where + "pointwise:focal",
        idea="Cross-entropy that counts little where the model is sure already.",
        paper="Lin et al., 2017, Focal loss for dense object detection",
        helps="Many easy examples and few hard ones (Lin et al., 2017), and calibration (Mukhoti "
        "et al., 2020).",
    )
    register(
        "r-drop",
        where + "pointwise:r_drop",
        idea="Cross-entropy under two dropout masks whose predictions should agree.",
        paper="Liang et al., 2021, R-Drop: regularized dropout for neural networks",
        helps="Overfitting of models with dropout (Liang et al., 2021), at twice the work a step.",
    )
    sequence(
        "self-critical",
        where + "sequence:self_critical",
        idea="Makes drawn outputs likelier as far as their reward exceeds greedy output's.",
        paper="Rennie et al., 2017, Self-critical sequence training for image captioning",
        helps="After cross-entropy, where the metric is not likelihood (Rennie et al., 2017); "
        "hardly from the start (Ranzato et al., 2016).",
    )
    sequence(
        "minimum-risk",
        where + "sequence:minimum_risk",
        idea="The expected loss of reward among a few drawn candidates.",
        paper="Shen et al., 2016, Minimum risk training for neural machine translation",
        helps="After cross-entropy (Shen et al., 2016); part of the gain is only a sharper "
        "distribution (Choshen et al., 2020).",
    )
    register(
        "linear",
        "msbench.builtin.linear.parts:loss",
        idea="What the yardstick `linear` is fitted to.",
        learner="linear",
        helps="Nothing that can be chosen: it belongs to the yardstick.",
    )
