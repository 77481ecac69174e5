"""The TensorFlow learner: gradients and steps compiled by tf.function, passes counted."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import msbench
from msbench import BEGIN, END, IGNORE, PAD, Batch, Decoder, Step, Task, derive
from msbench_tensorflow import weights
from msbench_tensorflow.framework import keras, tf

ARRAYS = ("source", "input", "target", "words")
"""Of a batch, what becomes tensors."""

CLIPPED = 1e-6
"""What torch adds to a norm before it divides by it."""


class TensorFlowLearner:
    """A Keras model with its loss and optimizer; see `msbench.Learner`."""

    def __init__(
        self,
        task: Task,
        *,
        model: Callable[[Task], Any],
        loss: Callable[..., Any],
        optimizer: Callable[[Any], Any],
        seed: int,
        device: str = "cpu",
        threads: int = 1,
        dtype: str = "float32",
        accumulate: int = 1,
        clip: float = 0.0,
    ):
        _use_threads(threads)
        self.task, self.seed, self.accumulate, self.clip = task, seed, accumulate, clip
        self._device = tf.device(_name(device))
        self._on_gpu = device != "cpu"
        keras.config.set_floatx(dtype)
        self.reseed("init")
        with self._device:
            self.model = model(task)
            self.model(_tensors(task.train.batch(np.arange(1))))  # Keras makes weights when called
        self.begin(loss, optimizer)
        self.reseed("dropout")

    def begin(self, loss: Callable[..., Any], optimizer: Callable[[Any], Any]) -> None:
        """Go on with the weights as they are, under this loss and a new optimizer."""
        self.loss = msbench.supplied(loss, task=self.task)
        with self._device:
            self.optimizer = optimizer(self.model)
            self.optimizer.build(self.model.trainable_variables)
        self._rate = float(self.optimizer.learning_rate.numpy())
        # Of any size, so that each is traced once.
        arrays = _arrays(self.task.train.batch(np.arange(1)))
        sizes = {name: tf.TensorSpec([None] * len(a.shape), a.dtype) for name, a in arrays.items()}
        self._compute = tf.function(self._gradients, input_signature=[sizes])
        self._measure = tf.function(self._losses, input_signature=[sizes])
        self._apply = tf.function(self._applied)

    @staticmethod
    def check_device(device: str) -> None:
        """MsbenchError if TensorFlow finds no such GPU."""
        kind, _, number = device.partition(":")
        found = len(tf.config.list_physical_devices("GPU"))
        if kind == "cuda" and int(number or 0) >= found:
            raise msbench.MsbenchError(f"TensorFlow {tf.__version__} finds {found} GPUs")

    def reseed(self, purpose: str) -> None:
        """Seed all generators: TensorFlow's, and those that Keras' layers have."""
        seed = derive(self.seed, purpose)
        tf.random.set_seed(seed)
        keras.utils.set_random_seed(seed % 2**32)
        for number, state in enumerate(_seeds(getattr(self, "model", None))):
            state.assign(np.array([derive(seed, str(number)) % 2**32, 0], np.uint32))

    def train_step(self, batch: Batch, aside: Any = None) -> Step:
        """One step of the optimizer, which is given one gradient: a pass."""
        with self._device:
            total, units, gradients = self._gradient_of_sum(batch)
            self._apply([gradient / units for gradient in gradients])
        return Step(1.0, total / units)

    def _gradient_of_sum(self, batch: Batch) -> tuple[Any, Any, list[Any]]:
        """The sum of losses, the number of units, and the gradient of the sum."""
        parts = min(self.accumulate, len(batch.rows))
        results = [
            self._compute(_arrays(batch.shard(index, parts) if parts > 1 else batch))
            for index in range(parts)
        ]
        total, units, gradients = results[0]
        for more, count, added in results[1:]:
            total, units = total + more, units + count
            gradients = [a + b for a, b in zip(gradients, added, strict=True)]
        return total, units, gradients

    def _gradients(self, arrays: Mapping[str, Any]) -> tuple[Any, Any, list[Any]]:
        trained = [variable.value for variable in self.model.trainable_variables]
        with tf.GradientTape() as tape:
            total, units = self.loss(self.model, _batch(arrays))
        gradients = tape.gradient(total, trained, unconnected_gradients="zero")
        return total, tf.cast(units, total.dtype), [tf.convert_to_tensor(g) for g in gradients]

    def _losses(self, arrays: Mapping[str, Any]) -> tuple[Any, Any]:
        total, units = self.loss(self.model, _batch(arrays))
        return total, units

    def _applied(self, gradients: list[Any]) -> None:
        if self.clip:
            norm = tf.linalg.global_norm(gradients)
            share = tf.minimum(self.clip / (norm + CLIPPED), 1.0)
            gradients = [gradient * share for gradient in gradients]
        self.optimizer.apply(gradients, self.model.trainable_variables)

    def set_rate(self, factor: float, spent: float) -> None:
        """Set the rate to the initial one times `factor`."""
        self.optimizer.learning_rate.assign(self._rate * factor)

    def validate(self, batches: Sequence[Batch]) -> float:
        """Mean loss per target unit over all batches."""
        total = count = 0.0
        with self._device:
            for batch in batches:
                batch_total, batch_count = self._measure(_arrays(batch))
                total, count = total + float(batch_total), count + float(batch_count)
        return total / max(1.0, count)

    def calibrate(self, decoder: Decoder) -> None:
        """Let a decoder that has `calibrate` see the trained model."""
        if hasattr(decoder, "calibrate"):
            decoder.calibrate(self.model)

    def predict(
        self, batch: Batch, decoder: Decoder, meter: msbench.Meter | None = None
    ) -> Sequence[Any]:
        """The decoder's predictions as lists and numbers."""
        with self._device:
            made = decoder(self.model if meter is None else meter.watch(self.model), batch)
        predictions: Sequence[Any] = made.tolist() if hasattr(made, "tolist") else made
        return predictions

    def log_probabilities(self, batch: Batch, outputs: Sequence[Sequence[int]]) -> list[float]:
        """Nats of one output for each example, END included unless it was cut."""
        limit = self.model.max_length
        inputs = [[BEGIN, *output][:limit] for output in outputs]
        targets = [[*output, END][:limit] for output in outputs]
        answers = replace(batch, input=_padded(inputs, PAD), target=_padded(targets, IGNORE))
        with self._device:
            logits = self.model(_tensors(answers)).numpy().astype(np.float64)
        logits[..., [PAD, BEGIN]] = -np.inf  # which are never predicted
        logs = logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
        counts = answers.target != IGNORE
        chosen = np.where(counts, answers.target, END)[..., None]
        of_target = np.take_along_axis(logs, chosen, axis=-1)[..., 0]
        found: list[float] = np.where(counts, of_target, 0.0).sum(1).tolist()
        return found

    def mode(self, training: bool) -> None:
        """Switch dropout on or off."""
        self.model.training = training

    def save(self, path: Path, about: Mapping[str, str]) -> None:
        """Write the weights by the names that the same network has in torch."""
        weights.save(self.model, path, about)

    def load(self, path: Path) -> None:
        """Read what `save` wrote, or what msbench wrote of the same network in torch."""
        weights.load(self.model, path)

    def synchronize(self) -> None:
        """Wait for the device."""
        if self._on_gpu:
            tf.test.experimental.sync_devices()

    def peak_memory(self, batch: Batch) -> float:
        """Bytes on a GPU; on a CPU TensorFlow does not tell."""
        if not self._on_gpu:
            return math.nan
        return float(tf.config.experimental.get_memory_info("GPU:0")["peak"])

    def optimizer_bytes(self) -> int:
        """Bytes of all variables of the optimizer but its counters and rates."""
        kept = [variable for variable in self.optimizer.variables if len(variable.shape)]
        return sum(variable.numpy().nbytes for variable in kept)

    def sent_bytes(self) -> int:
        """None: there are no workers."""
        return 0

    def flops(self) -> float:
        """Not a number: TensorFlow does not count what it did."""
        return math.nan

    def parameters(self) -> int:
        """Number of trained weights."""
        return sum(math.prod(variable.shape) for variable in self.model.trainable_variables)

    def checksum(self) -> float:
        """Sum of all absolute weights in double precision."""
        return float(
            sum(np.abs(v.numpy().astype(np.float64)).sum() for v in self.model.trainable_variables)
        )


def _use_threads(threads: int) -> None:
    """Before TensorFlow has begun; afterwards it keeps what it was told first."""
    if tf.config.threading.get_intra_op_parallelism_threads() == threads:
        return
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError as error:
        raise msbench.MsbenchError(f"TensorFlow cannot change its threads now: {error}") from error


def _name(device: str) -> str:
    """As TensorFlow calls it."""
    kind, _, number = device.partition(":")
    return "CPU:0" if kind == "cpu" else f"GPU:{number or 0}"


def _seeds(model: Any) -> list[Any]:
    """States of the generators that the model's layers have."""
    if model is None:
        return []
    kept = {id(variable) for variable in model.weights}
    return [v for v in model.variables if id(v) not in kept and "seed" in v.path]


def _arrays(batch: Batch) -> dict[str, Any]:
    found = {name: getattr(batch, name) for name in ARRAYS}
    return {name: tf.constant(a, tf.int32) for name, a in found.items() if a is not None}


def _batch(arrays: Mapping[str, Any]) -> Batch:
    """A batch for models and losses that are being compiled: tensors alone."""
    fields = {name: arrays.get(name) for name in ARRAYS}
    return Batch(**fields, rows=np.empty(0, int), tokens=0)


def _tensors(batch: Batch) -> Batch:
    return batch.map(lambda array: tf.constant(array, tf.int32))


def _padded(rows: Sequence[Sequence[int]], value: int) -> Any:
    longest = max(map(len, rows))
    return np.array([[*row, *[value] * (longest - len(row))] for row in rows])
