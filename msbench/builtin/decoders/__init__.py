"""Decoders that come with msbench."""

from functools import partial

import msbench
from msbench import Register


@msbench.hookimpl
def register_decoders(register: Register) -> None:
    where = "msbench.builtin.decoders."
    classify = partial(register, fits=["classify"])
    generate = partial(register, fits=["seq2seq", "lm"])
    search = partial(generate, steps="decoding", base="greedy")
    register(
        "argmax",
        where + "labels:argmax",
        idea="The label with the highest score.",
        fits=["classify", "tag"],
        helps="Labels: nothing is more accurate for what the model believes.",
    )
    classify(
        "prior-corrected",
        where + "labels:prior_corrected",
        idea="The highest score once common labels have lost what being common gives them.",
        paper="Menon et al., 2021, Long-tail learning via logit adjustment; Saerens et al., 2002",
        helps="Rare labels, where each counts alike (macro-F1); it costs accuracy on common ones.",
    )
    classify(
        "temperature",
        where + "labels:temperature",
        idea="Argmax's labels, and probabilities as sure as validation says they may be.",
        paper="Guo et al., 2017, On calibration of modern neural networks",
        preload=["scipy.optimize"],
        helps="Where probabilities are read: too sure a model is calibrated (Guo et al., 2017).",
    )
    classify(
        "mc-dropout",
        where + "labels:mc_dropout",
        idea="The mean prediction of several passes with dropout left on.",
        paper="Gal and Ghahramani, 2016, Dropout as a Bayesian approximation",
        steps="decoding",
        base="argmax",
        helps="Probabilities of models that were trained with dropout; seldom other labels.",
    )
    classify(
        "candidate-loss",
        where + "labels:candidate_loss",
        idea="The label of the lowest loss, by any loss: one candidate after the other.",
        paper="LeCun et al., 2006, A tutorial on energy-based learning",
        helps="Labels by a loss whose least value is not the likeliest label.",
    )
    register(
        "viterbi",
        where + "viterbi:viterbi",
        idea="The likeliest tags of all words among those in which spans begin with B.",
        paper="Viterbi, 1967; He et al., 2017, Deep semantic role labeling (constrained tags)",
        fits=["tag"],
        helps="Few training texts: with many, tags rarely break the rules (He et al., 2017).",
    )
    register(
        "likelihood",
        where + "likelihood:likelihood",
        idea="How likely the text is as it stands: perplexity and bits per byte.",
        fits=["lm"],
        reads_targets=True,
        helps="Texts that are scored, not written.",
    )
    register(
        "likelihood-by-frequency",
        where + "by_frequency:likelihood_by_frequency",
        idea="How likely the rare (or medium, or frequent) tokens of the text are.",
        paper="Kunstner et al., 2024, Heavy-tailed class imbalance and why Adam outperforms "
        "gradient descent on language models",
        fits=["lm"],
        reads_targets=True,
        helps="To see on which tokens one optimizer is ahead of another.",
    )
    generate(
        "greedy",
        "msbench.builtin.generation:greedy",
        idea="The likeliest next token, one after the other.",
        streams=True,
        helps="Short outputs with one right form; of open text it repeats itself (Holtzman et "
        "al., 2020).",
    )
    search(
        "beam",
        where + "beam:beam",
        idea="Keep the likeliest few beginnings instead of one.",
        paper="Graves, 2012, Sequence transduction; Wu et al., 2016 (length normalization)",
        helps="Translation, with 4 to 10 beginnings (Wu et al., 2016); more find shorter, worse "
        "texts (Stahlberg and Byrne, 2019).",
    )
    generate(
        "sample",
        "msbench.builtin.generation:sample",
        idea="Draw token after token at random, from all or from the likeliest.",
        paper="Fan et al., 2018 (top-k); Holtzman et al., 2020 (top-p)",
        streams=True,
        helps="Open text, where the likeliest is dull or repeats itself (Holtzman et al., 2020).",
    )
    search(
        "rerank",
        where + "rerank:rerank",
        idea="Write several outputs and take the best by a score, a loss or a second model.",
        paper="Shen et al., 2004, Discriminative reranking; Yee et al., 2019 (noisy channel)",
        helps="Where another model or loss knows what the first one does not (Yee et al., 2019).",
    )
    search(
        "mbr",
        where + "rerank:mbr",
        idea="Draw several outputs and take the one that the others agree with most.",
        paper="Kumar and Byrne, 2004, Minimum Bayes-risk decoding; Eikema and Aziz, 2020",
        helps="Translation by models whose likeliest outputs are poor (Eikema and Aziz, 2020).",
    )
    generate(
        "speculative",
        where + "speculative:speculative",
        idea="What greedy or sampling would write, in fewer steps: a draft proposes tokens.",
        paper="Leviathan et al., 2023, Fast inference from transformers via speculative decoding",
        streams=True,
        helps="One source at a time, and outputs that repeat it or that a small model foresees.",
    )
    register(
        "linear",
        "msbench.builtin.linear.parts:predicted",
        idea="What the yardstick `linear` predicts.",
        fits=["classify", "tag", "seq2seq"],
        learner="linear",
        helps="Nothing that can be chosen: it belongs to the yardstick.",
    )
    register(
        "linear-likelihood",
        "msbench.builtin.linear.parts:predicted",
        idea="How likely texts are by the n-grams of the yardstick `linear`.",
        fits=["lm"],
        reads_targets=True,
        learner="linear",
        helps="Nothing that can be chosen: it belongs to the yardstick.",
    )
    register(
        "linear-text",
        "msbench.builtin.linear.parts:written",
        idea="Text that the yardstick `linear` draws from its n-grams.",
        fits=["lm"],
        learner="linear",
        helps="Nothing that can be chosen: it belongs to the yardstick.",
    )
