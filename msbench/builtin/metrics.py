"""Metrics of texts by name, for tasks that score theirs otherwise."""

import msbench
from msbench import METRICS, Measure


def bleu_chrf() -> Measure:
    """`bleu` and `chrf`, in points, and `exact`, the share of outputs that are the reference."""
    return Measure(msbench.bleu_chrf, {name: METRICS[name] for name in ("bleu", "chrf", "exact")})


def rouge() -> Measure:
    """`rouge1`, `rouge2` and `rougeL`, as shares."""
    names = ("rouge1", "rouge2", "rougeL")
    return Measure(msbench.rouge, {name: METRICS[name] for name in names})


def exact_f1() -> Measure:
    """`exact` and `f1`, as shares."""
    return Measure(msbench.exact_f1, {name: METRICS[name] for name in ("exact", "f1")})
