"""The network of msbench's `encoder-decoder`, in Keras, with a key-value cache."""

from dataclasses import dataclass
from typing import Any

from msbench import Batch, Task
from msbench_tensorflow.framework import keras, tf
from msbench_tensorflow.layers import (
    CrossLayer,
    Embedding,
    SelfLayer,
    check_heads,
    hiding,
    looking_back,
    norm,
    table,
)
from msbench_tensorflow.model import Model


class EncoderDecoder(Model):
    """(B, S) source and (B, T) input -> (B, T, V) logits; source, target and output share one
    embedding (Press and Wolf, 2017). Shapes: R rows, each a hypothesis."""

    def __init__(
        self, task: Task, width: int = 64, layers: int = 2, heads: int = 4, dropout: float = 0.1
    ):
        super().__init__()
        check_heads(width, heads)
        self.max_length = task.longest_target
        tokens = table(task.vocabulary, width)
        self.source = Embedding(tokens, task.longest_source, width, dropout)
        self.target = Embedding(tokens, task.longest_target, width, dropout)
        self.encoder = [SelfLayer(width, heads, dropout) for _ in range(layers)]
        self.decoder = [CrossLayer(width, heads, dropout) for _ in range(layers)]
        self.source_norm, self.target_norm = norm(), norm()
        self._compile(layers, heads, width // heads)

    def call(self, batch: Batch, training: bool = False) -> Any:
        memory, hide = self._read(batch.source, training)
        x = self.target(batch.input, training)
        mask = looking_back(tf.shape(x)[1], x.dtype)
        for layer in self.decoder:
            keys, values = layer.across.keys_values(memory)
            x = layer(x, lambda y, a=layer.within: a.within(y, mask), keys, values, hide, training)
        return self._logits(x)

    def start(self, batch: Batch) -> "State":
        """The state before the first token, when only the source has been read."""
        across, hide = self._read_once(tf.cast(batch.source, tf.int32))
        rows = batch.source.shape[0]
        attention = self.decoder[0].within
        empty = tf.zeros([rows, attention.heads, 0, attention.size], hide.dtype)
        return State([(empty, empty) for _ in self.decoder], across, hide)

    def step(self, state: "State", tokens: Any) -> tuple[Any, "State"]:
        """(R,) tokens -> (R, V) logits of the next ones, and the state after them."""
        logits, state.cache = self._step_once(
            state.cache, state.across, state.hide, tf.cast(tokens, tf.int32)
        )
        return logits, state

    def _compile(self, layers: int, heads: int, size: int) -> None:
        """Reading and steps, for any number of rows and tokens: each is traced once."""
        number = keras.config.floatx()
        pair = (tf.TensorSpec([None, heads, None, size], number),) * 2
        held, hide = [pair] * layers, tf.TensorSpec([None, 1, 1, None], number)
        ids = [tf.TensorSpec([None] * rank, tf.int32) for rank in (1, 2)]
        self._read_once = tf.function(self._sources, input_signature=[ids[1]])
        self._step_once = tf.function(self._next, input_signature=[held, held, hide, ids[0]])

    def _sources(self, source: Any) -> tuple[Any, Any]:
        memory, hide = self._read(source, training=False)
        return [layer.across.keys_values(memory) for layer in self.decoder], hide

    def _next(self, cache: Any, across: Any, hide: Any, tokens: Any) -> tuple[Any, Any]:
        place = tf.shape(cache[0][0])[2][None]
        x = self.target(tokens[:, None], False, place)
        longer = []

        def within(y: Any, attention: Any, kept: Any) -> Any:
            queries, keys, values = attention.projected(y, place)
            longer.append((tf.concat([kept[0], keys], 2), tf.concat([kept[1], values], 2)))
            return attention.mixed(queries, *longer[-1], None)

        for layer, kept, (keys, values) in zip(self.decoder, cache, across, strict=True):
            x = layer(
                x, lambda y, a=layer.within, k=kept: within(y, a, k), keys, values, hide, False
            )
        return self._logits(x)[:, 0], longer

    def _read(self, source: Any, training: bool) -> tuple[Any, Any]:
        x = self.source(source, training)
        hide = hiding(source, x.dtype)
        for layer in self.encoder:
            x = layer(x, hide, training)
        return self.source_norm(x), hide

    def _logits(self, x: Any) -> Any:
        return tf.matmul(
            self.target_norm(x),
            tf.convert_to_tensor(self.source.tokens.embeddings)[None],
            transpose_b=True,
        )


@dataclass
class State:
    """Keys and values of each layer: of what was written, and of the sources."""

    cache: list[tuple[Any, Any]]
    across: list[tuple[Any, Any]]
    hide: Any

    def select(self, rows: Any) -> "State":
        """The state of the given rows, in that order; a row may be taken more than once."""
        self.cache, self.across = (
            [(tf.gather(keys, rows), tf.gather(values, rows)) for keys, values in each]
            for each in (self.cache, self.across)
        )
        self.hide = tf.gather(self.hide, rows)
        return self
