"""Models of the transformers library for msbench, fine-tuned and decoded by msbench's own parts."""

from functools import partial

import msbench

_HERE = "msbench_transformers."  # as text: listing plugins imports neither torch nor transformers
_LOADED = ["transformers.models.auto.modeling_auto", "transformers.generation.utils"]


@msbench.hookimpl
def register_models(register: msbench.Register) -> None:
    model = partial(register, preload=_LOADED)
    model(
        "hf-encoder",
        _HERE + "models:encoder",
        tokenizer=_HERE + "tokens:encoder_tokens",
        idea="BERT, RoBERTa, DeBERTa, ModernBERT: labels of texts, pairs and words, pretrained.",
        paper="Devlin et al., 2019, BERT; Wolf et al., 2020, Transformers",
        fits=["classify", "tag"],
    )
    model(
        "hf-causal-lm",
        _HERE + "models:causal_lm",
        tokenizer=_HERE + "tokens:causal_tokens",
        idea="GPT-2, Llama, Qwen: continues texts, and answers prompts.",
        paper="Radford et al., 2019, Language models are unsupervised multitask learners",
        fits=["lm", "seq2seq"],
    )
    model(
        "hf-encoder-decoder",
        _HERE + "models:encoder_decoder",
        tokenizer=_HERE + "tokens:seq2seq_tokens",
        idea="T5, BART, Marian: reads a text and writes another.",
        paper="Raffel et al., 2020, T5; Lewis et al., 2020, BART",
        fits=["seq2seq"],
    )


@msbench.hookimpl
def register_optimizers(register: msbench.Register) -> None:
    adapting = _HERE + "adapting:"
    register(
        "frozen",
        adapting + "frozen",
        idea="Trains the head alone, on features of a body that stays as it is.",
        helps="Few examples and small budgets (Kumar et al., 2022: it distorts no features).",
    )
    register(
        "layer-wise",
        adapting + "layer_wise",
        idea="The rate of a layer is a share of that of the layer above it.",
        paper="Howard and Ruder, 2018, ULMFiT; Clark et al., 2020, ELECTRA",
        space={"decay": (0.65, 0.8, 0.95, "choice")},
    )
    register(
        "unfreezing",
        adapting + "unfreezing",
        idea="Trains the head first, then one layer more at a time from the top.",
        paper="Howard and Ruder, 2018, Universal language model fine-tuning",
        space={"share": (0.3, 0.6, "choice")},
    )
    register(
        "lora",
        adapting + "lora",
        idea="Trains low-rank changes of the layers' matrices, and the head (LoRA, DoRA).",
        paper="Hu et al., 2022, LoRA; Liu et al., 2024, DoRA",
        space={"rank": (8, 32, "choice")},
    )


@msbench.hookimpl
def register_decoders(register: msbench.Register) -> None:
    decoder = partial(register, fits=["seq2seq", "lm"])
    decoder(
        "hf-generate",
        _HERE + "decoders:generate",
        idea="transformers' own generate on the same weights, greedy or with beams.",
        paper="Wolf et al., 2020, Transformers",
    )
    decoder(
        "full-beam",
        _HERE + "decoders:full_beam",
        idea="Beam search in which hypotheses that end make room for others.",
        steps="decoding",
        base="greedy",
        helps="Early ends that would narrow the beam; it is what transformers' generate does.",
    )
