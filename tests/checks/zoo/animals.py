"""A plugin whose parts are wrong on purpose, each in one way, and which check has to find it."""

import msbench

ANIMALS = {
    "optimizer": {
        "late-adamw": "equals-its-reference",
        "skips-half": "moves-every-weight",
        "forgets-biases": "can-be-made",
        "two-for-one": "takes-the-passes-it-declares",
        "beside-its-closure": "takes-the-passes-it-declares",
        "never-asks": "takes-the-passes-it-declares",
        "reads-first": "asks-before-it-reads",
        "remembers-others": "repeats-itself",
        "thaws": "leaves-frozen-weights",
        "decays-anyway": "stands-still-at-rate-zero",
        "deaf": "obeys-its-rate",
        "one-rate-for-all": "obeys-its-groups",
        "rounds-in-eval": "evaluates-without-a-trace",
        "forgetful": "goes-on-from-its-state",
        "climbs": "descends-a-bowl",
    },
    "loss": {
        "zero-outside": "validates-what-it-trains",
        "counts-one": "counts-what-counts",
        "means": "adds-up",
        "counts-padding": "ignores-padding",
        "detached": "has-the-right-gradient",
        "edits-the-batch": "leaves-the-batch-alone",
        "keeps-a-baseline": "adds-up",
    },
    "model": {
        "reads-padding": "ignores-padding",
        "mixes-examples": "ignores-its-neighbours",
        "noisy": "is-the-same-again",
        "numpys-draw": "is-drawn-from-the-seed",
        "keeps-to-itself": "saves-and-loads",
        "idle": "uses-every-weight",
        "wrong-shape": "can-be-made",
        "edits-the-batch": "leaves-the-batch-alone",
        "sees-the-future": "sees-no-future",
        "stale-state": "steps-as-it-reads",
    },
    "decoder": {
        "reads-targets": "sees-no-answers",
        "reads-references": "sees-no-answers",
        "reads-the-test-split": "sees-no-answers",
        "one-too-few": "can-be-made",
        "no-probabilities": "predicts-what-is-scored",
        "follows-the-crowd": "ignores-its-neighbours",
        "unseeded": "repeats-itself",
        "leaves-dropout-on": "leaves-the-model-alone",
        "writes-end": "predicts-what-is-scored",
        "never-ends": "keeps-within-limits",
    },
    "task": {
        "shares-examples": "keeps-its-splits-apart",
        "orders-a-set": "is-the-same-everywhere",
        "new-labels": "covers-its-labels",
        "beyond-its-bounds": "scores-within-bounds",
        "likes-the-first": "scores-in-any-order",
        "likes-everything": "scores-answers-best",
        "ids-too-large": "has-ids-in-range",
        "no-task": "can-be-made",
    },
    "learner": {
        "mean-of-means": "validates-exactly",
        "unseeded": "trains-from-its-seed",
        "deaf": "obeys-the-rate",
        "free": "counts-its-passes",
        "half-saved": "saves-and-loads",
    },
}

FITS = {
    "loss": ["tag"],
    "model": ["classify"],
    "decoder": ["classify"],
    "task": ["classify"],
    "sees-the-future": ["lm"],
    "stale-state": ["lm"],
    "writes-end": ["seq2seq"],
    "never-ends": ["seq2seq"],
}
"""By name, else by kind."""


def animals(kind, register):
    """Registers all of one kind."""
    module = "losses" if kind == "loss" else f"{kind}s"
    for name in ANIMALS[kind]:
        attribute = name.replace("-", "_")
        if kind in ("optimizer", "model", "learner"):
            attribute = name.title().replace("-", "")
        factory = f"zoo.{module}:{attribute}"
        fits = FITS.get(name, FITS.get(kind, []))
        register(name, factory, idea="Wrong on purpose.", fits=fits)


def beside(register, name, **facts):
    """A part for each of the learners."""
    for learner in ANIMALS["learner"]:
        factory = f"zoo.learners:{name}"
        register(f"{learner}-{name.replace('_', '-')}", factory, idea="x", learner=learner, **facts)


@msbench.hookimpl
def register_optimizers(register):
    animals("optimizer", register)
    beside(register, "fast_sgd")


@msbench.hookimpl
def register_losses(register):
    animals("loss", register)
    beside(register, "cross_entropy")


@msbench.hookimpl
def register_models(register):
    animals("model", register)
    beside(register, "bag", fits=["classify"])


@msbench.hookimpl
def register_decoders(register):
    animals("decoder", register)
    beside(register, "argmax", fits=["classify"])


@msbench.hookimpl
def register_tasks(register):
    animals("task", register)


@msbench.hookimpl
def register_learners(register):
    animals("learner", register)


@msbench.hookimpl
def register_schedules(register):
    """Something good beside them."""
    register("fine", lambda: lambda spent: 1 - spent, idea="Down to zero.")
