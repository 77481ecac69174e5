"""Losses in TensorFlow: (model, batch) -> (sum over target units, how many there were)."""

from collections.abc import Callable
from typing import Annotated, Any

from annotated_types import Ge, Lt

from msbench import IGNORE, Batch
from msbench_tensorflow.framework import tf

Loss = Callable[[Any, Batch], tuple[Any, Any]]


def cross_entropy(label_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0) -> Loss:
    """Negative log-likelihood in nats; logits (..., classes), targets (...).

    label_smoothing: the share of the target that is spread over all classes (Szegedy et al., 2016).
    """

    def loss(model: Any, batch: Batch) -> tuple[Any, Any]:
        logits = model(batch)
        logs = tf.nn.log_softmax(logits)
        counts = batch.target != IGNORE
        target = tf.where(counts, batch.target, 0)
        of_target = tf.gather(logs, target, axis=-1, batch_dims=target.shape.rank)
        likely = (1 - label_smoothing) * of_target + label_smoothing * tf.reduce_mean(logs, -1)
        weight = tf.cast(counts, logits.dtype)
        return -tf.reduce_sum(likely * weight), tf.reduce_sum(weight)

    return loss
