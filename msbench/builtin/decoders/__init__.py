"""Decoders that come with msbench."""

import msbench
from msbench import Register


@msbench.hookimpl
def register_decoders(register: Register) -> None:
    register(
        "argmax",
        "msbench.builtin.decoders.labels:argmax",
        idea="The label with the highest score.",
        fits=["classify", "tag"],
        helps="Labels: nothing is more accurate for what the model believes.",
    )
    register(
        "prior-corrected",
        "msbench.builtin.decoders.labels:prior_corrected",
        idea="The highest score once common labels have lost what being common gives them.",
        paper="Menon et al., 2021, Long-tail learning via logit adjustment; Saerens et al., 2002",
        fits=["classify"],
        helps="Rare labels, where each counts alike (macro-F1); it costs accuracy on common ones.",
    )
    register(
        "temperature",
        "msbench.builtin.decoders.labels:temperature",
        idea="Argmax's labels, and probabilities as sure as validation says they may be.",
        paper="Guo et al., 2017, On calibration of modern neural networks",
        fits=["classify"],
        preload=["scipy.optimize"],
        helps="Where probabilities are read: too sure a model is calibrated (Guo et al., 2017).",
    )
    register(
        "mc-dropout",
        "msbench.builtin.decoders.labels:mc_dropout",
        idea="The mean prediction of several passes with dropout left on.",
        paper="Gal and Ghahramani, 2016, Dropout as a Bayesian approximation",
        steps="decoding",
        fits=["classify"],
        base="argmax",
        helps="Probabilities of models that were trained with dropout; seldom other labels.",
    )
    register(
        "candidate-loss",
        "msbench.builtin.decoders.labels:candidate_loss",
        idea="The label of the lowest loss, by any loss: one candidate after the other.",
        paper="LeCun et al., 2006, A tutorial on energy-based learning",
        fits=["classify"],
        helps="Labels by a loss whose least value is not the likeliest label.",
    )
    register(
        "viterbi",
        "msbench.builtin.decoders.viterbi:viterbi",
        idea="The likeliest tags of all words among those in which spans begin with B.",
        paper="Viterbi, 1967; He et al., 2017, Deep semantic role labeling (constrained tags)",
        fits=["tag"],
        helps="Few training texts: with many, tags rarely break the rules (He et al., 2017).",
    )
    register(
        "likelihood",
        "msbench.builtin.decoders.likelihood:likelihood",
        idea="How likely the text is as it stands: perplexity and bits per byte.",
        fits=["lm"],
        helps="Texts that are scored, not written.",
    )
    register(
        "greedy",
        "msbench.builtin.generation:greedy",
        idea="The likeliest next token, one after the other.",
        fits=["seq2seq", "lm"],
        streams=True,
        helps="Short outputs with one right form; of open text it repeats itself (Holtzman et "
        "al., 2020).",
    )
    register(
        "beam",
        "msbench.builtin.decoders.beam:beam",
        idea="Keep the likeliest few beginnings instead of one.",
        paper="Graves, 2012, Sequence transduction; Wu et al., 2016 (length normalization)",
        steps="decoding",
        fits=["seq2seq", "lm"],
        base="greedy",
        helps="Translation, with 4 to 10 beginnings (Wu et al., 2016); more find shorter, worse "
        "texts (Stahlberg and Byrne, 2019).",
    )
    register(
        "sample",
        "msbench.builtin.generation:sample",
        idea="Draw token after token at random, from all or from the likeliest.",
        paper="Fan et al., 2018 (top-k); Holtzman et al., 2020 (top-p)",
        fits=["seq2seq", "lm"],
        streams=True,
        helps="Open text, where the likeliest is dull or repeats itself (Holtzman et al., 2020).",
    )
    register(
        "rerank",
        "msbench.builtin.decoders.rerank:rerank",
        idea="Write several outputs and take the best by a score, a loss or a second model.",
        paper="Shen et al., 2004, Discriminative reranking; Yee et al., 2019 (noisy channel)",
        steps="decoding",
        fits=["seq2seq", "lm"],
        base="greedy",
        helps="Where another model or loss knows what the first one does not (Yee et al., 2019).",
    )
    register(
        "mbr",
        "msbench.builtin.decoders.rerank:mbr",
        idea="Draw several outputs and take the one that the others agree with most.",
        paper="Kumar and Byrne, 2004, Minimum Bayes-risk decoding; Eikema and Aziz, 2020",
        steps="decoding",
        fits=["seq2seq", "lm"],
        base="greedy",
        helps="Translation by models whose likeliest outputs are poor (Eikema and Aziz, 2020).",
    )
    register(
        "speculative",
        "msbench.builtin.decoders.speculative:speculative",
        idea="What greedy or sampling would write, in fewer steps: a draft proposes tokens.",
        paper="Leviathan et al., 2023, Fast inference from transformers via speculative decoding",
        fits=["seq2seq", "lm"],
        streams=True,
        helps="One source at a time, and outputs that repeat it or that a small model foresees.",
    )
