"""A Keras model as msbench calls it: with a batch."""

from typing import Any, ClassVar

from msbench import Batch
from msbench_tensorflow.framework import keras


class Model(keras.Model):  # type: ignore[misc]
    """`call(batch, training) -> logits`; `model(batch)` is that in the mode the learner has set."""

    renamed: ClassVar[dict[str, str]] = {}
    """Attributes that are called otherwise in the same network in torch."""

    def __init__(self) -> None:
        super().__init__()
        self.training = False

    def __call__(self, batch: Batch) -> Any:
        return self.call(batch, self.training)
