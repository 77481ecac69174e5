"""Keras models on TensorFlow, trained by msbench's loop beside those of torch."""

from functools import partial

import msbench

FRAMEWORK = "tensorflow"


@msbench.hookimpl
def register_learners(register: msbench.Register) -> None:
    register(
        FRAMEWORK,
        "msbench_tensorflow.learner:TensorFlowLearner",
        idea="Keras models on TensorFlow: gradients and steps compiled by tf.function.",
        paper="Abadi et al., 2016, TensorFlow: a system for large-scale machine learning",
        preload=["msbench_tensorflow.framework"],
    )


@msbench.hookimpl
def register_models(register: msbench.Register) -> None:
    register(
        "keras-encoder",
        "msbench_tensorflow.encoder:Encoder",
        idea="The network of `encoder`, in Keras.",
        paper="Vaswani et al., 2017, Attention is all you need; Devlin et al., 2019, BERT",
        fits=["classify", "tag"],
        learner=FRAMEWORK,
    )
    register(
        "keras-encoder-decoder",
        "msbench_tensorflow.encoder_decoder:EncoderDecoder",
        idea="The network of `encoder-decoder`, in Keras.",
        paper="Vaswani et al., 2017, Attention is all you need",
        fits=["seq2seq"],
        learner=FRAMEWORK,
    )


@msbench.hookimpl
def register_losses(register: msbench.Register) -> None:
    register(
        "keras-cross-entropy",
        "msbench_tensorflow.losses:cross_entropy",
        idea="What `cross-entropy` is, in TensorFlow.",
        learner=FRAMEWORK,
    )


@msbench.hookimpl
def register_optimizers(register: msbench.Register) -> None:
    keras = partial(register, learner=FRAMEWORK)
    where = "msbench_tensorflow.optimizers:"
    rates = {"lr": (3e-4, 3e-2, "log")}
    keras("keras-sgd", where + "sgd", idea="Keras' SGD.", space={"lr": (3e-2, 3.0, "log")})
    keras(
        "keras-momentum",
        where + "momentum",
        idea="Keras' SGD with Polyak's heavy ball.",
        paper="Polyak, 1964",
        steps="memory",
        base="keras-sgd",
        space={"lr": (3e-3, 1.0, "log"), "momentum": (0.5, 0.9, "choice")},
    )
    keras(
        "keras-adam",
        where + "adam",
        idea="Keras' Adam.",
        paper="Kingma and Ba, 2015, Adam: a method for stochastic optimization",
        steps="memory",
        base="keras-sgd",
        space=rates | {"beta2": (0.95, 0.999, "choice")},
    )
    keras(
        "keras-adamw",
        where + "adamw",
        idea="Keras' AdamW.",
        paper="Loshchilov and Hutter, 2019, Decoupled weight decay regularization",
        steps="memory",
        base="keras-sgd",
        space=rates | {"beta2": (0.95, 0.999, "choice"), "weight_decay": (0.01, 0.1, "choice")},
    )
    keras(
        "keras-lion",
        where + "lion",
        idea="Keras' Lion: the sign of a momentum.",
        paper="Chen et al., 2023, Symbolic discovery of optimization algorithms",
        steps="memory",
        base="keras-sgd",
        space={"lr": (3e-5, 3e-3, "log"), "weight_decay": (0.01, 0.1, "choice")},
    )
    keras(
        "keras-adafactor",
        where + "adafactor",
        idea="Keras' Adafactor: second moments of a matrix as a row and a column.",
        paper="Shazeer and Stern, 2018, Adafactor",
        steps="memory",
        base="keras-sgd",
        space={"lr": (1e-3, 1e-1, "log")},
    )
    keras(
        "keras-muon",
        where + "muon",
        idea="Keras' Muon: orthogonal updates of matrices, AdamW for all else.",
        paper="Jordan et al., 2024, Muon: an optimizer for hidden layers in neural networks",
        steps="memory",
        base="keras-sgd",
        space=rates | {"momentum": (0.9, 0.95, "choice")},
    )


@msbench.hookimpl
def register_decoders(register: msbench.Register) -> None:
    keras = partial(register, learner=FRAMEWORK)
    where = "msbench_tensorflow.decoders:"
    keras(
        "keras-argmax",
        where + "argmax",
        idea="msbench's `argmax` on logits of TensorFlow.",
        fits=["classify", "tag"],
    )
    keras(
        "keras-greedy",
        where + "greedy",
        idea="msbench's `greedy` on steps of TensorFlow.",
        fits=["seq2seq"],
        streams=True,
    )
    keras(
        "keras-beam",
        where + "beam",
        idea="msbench's `beam` on steps of TensorFlow.",
        paper="Graves, 2012, Sequence transduction; Wu et al., 2016 (length normalization)",
        steps="decoding",
        base="keras-greedy",
        fits=["seq2seq"],
    )
