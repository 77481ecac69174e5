"""Metrics of texts by name, for tasks that score theirs otherwise."""

from functools import partial

import msbench
from msbench import METRICS, Measure, Register


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


def bleu_chrf() -> Measure:
    """`bleu` and `chrf`, in points."""
    return Measure(msbench.bleu_chrf, {name: METRICS[name] for name in ("bleu", "chrf")})


def rouge() -> Measure:
    """`rouge1`, `rouge2` and `rougeL`, as shares."""
    names = ("rouge1", "rouge2", "rougeL")
    return Measure(msbench.rouge, {name: METRICS[name] for name in names})


def exact_f1() -> Measure:
    """`exact` and `f1`, as shares."""
    return Measure(msbench.exact_f1, {name: METRICS[name] for name in ("exact", "f1")})
