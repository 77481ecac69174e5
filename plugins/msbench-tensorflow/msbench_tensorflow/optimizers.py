"""Keras' optimizers: `factory(model, **options)`. The learner computes gradients and sets rates.

Weight decay is decoupled, and spares norms and biases, unless `decay = "all"`: as in msbench's own
optimizers, so that frameworks are compared and not recipes. Tokens and positions are matrices.
"""

from typing import Any, Literal

from msbench_tensorflow.framework import keras

Decay = Literal["matrices", "all"]


def sgd(model: Any, lr: float = 0.1, weight_decay: float = 0.0, decay: Decay = "matrices") -> Any:
    """Plain stochastic gradient descent."""
    return _decayed(keras.optimizers.SGD(lr, weight_decay=weight_decay or None), model, decay)


def momentum(
    model: Any,
    lr: float = 0.1,
    momentum: float = 0.9,
    nesterov: bool = False,
    weight_decay: float = 0.0,
    decay: Decay = "matrices",
) -> Any:
    """SGD with momentum, which Keras multiplies by the rate of the step that it is from."""
    made = keras.optimizers.SGD(
        lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay or None
    )
    return _decayed(made, model, decay)


def adam(
    model: Any, lr: float = 1e-3, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8
) -> Any:
    """Adam, whose constant is added before the bias is corrected."""
    return keras.optimizers.Adam(lr, beta_1=beta1, beta_2=beta2, epsilon=eps)


def adamw(
    model: Any,
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.01,
    decay: Decay = "matrices",
) -> Any:
    """Adam with decoupled weight decay."""
    made = keras.optimizers.AdamW(
        lr, weight_decay=weight_decay, beta_1=beta1, beta_2=beta2, epsilon=eps
    )
    return _decayed(made, model, decay)


def lion(
    model: Any,
    lr: float = 1e-4,
    beta1: float = 0.9,
    beta2: float = 0.99,
    weight_decay: float = 0.01,
    decay: Decay = "matrices",
) -> Any:
    """Steps of one size, by the sign of a momentum."""
    made = keras.optimizers.Lion(lr, beta_1=beta1, beta_2=beta2, weight_decay=weight_decay or None)
    return _decayed(made, model, decay)


def adafactor(
    model: Any, lr: float = 1e-2, weight_decay: float = 0.0, decay: Decay = "matrices"
) -> Any:
    """Second moments of a matrix kept as a row and a column; the rate relative to the weights."""
    made = keras.optimizers.Adafactor(lr, weight_decay=weight_decay or None)
    return _decayed(made, model, decay)


def muon(
    model: Any,
    lr: float = 2e-3,
    momentum: float = 0.95,
    weight_decay: float = 0.01,
) -> Any:
    """Orthogonal updates of the matrices of hidden layers; AdamW for embeddings and all else."""
    return keras.optimizers.Muon(
        lr, weight_decay=weight_decay, momentum=momentum, exclude_embeddings=True
    )


def _decayed(optimizer: Any, model: Any, decay: Decay) -> Any:
    if decay == "matrices":
        spared = [weight for weight in model.trainable_variables if len(weight.shape) < 2]
        optimizer.exclude_from_weight_decay(spared)
    return optimizer
