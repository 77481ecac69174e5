"""The layers of msbench's own transformers, in Keras: the same sums in the same order.

Attributes have the names that the layers in torch have, so that weights of one can be loaded into
the other (`weights.py`). Shapes: B examples, S source and T target positions, W width.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

import msbench
from msbench import END, PAD
from msbench_tensorflow.framework import keras, tf


class Part(keras.layers.Layer):  # type: ignore[misc]
    """What is made of Keras' layers: called with anything, while Keras asks for tensors alone."""

    def __call__(self, *inputs: Any) -> Any:
        return self.call(*inputs)


class Embedding(Part):
    """Tokens plus learned positions."""

    def __init__(self, tokens: Any, longest: int, width: int, dropout: float):
        super().__init__()
        self.tokens, self.positions = tokens, table(longest, width)
        self.dropout, self.scale = keras.layers.Dropout(dropout), width**0.5

    def call(self, tokens: Any, training: bool, places: Any = None) -> Any:
        """(B, T) ids -> (B, T, W). places: the positions, where they are not 0, 1, 2, ..."""
        if places is None:
            places = tf.range(tf.shape(tokens)[1])
        x = self.positions(places) + self.scale * self.tokens(tokens)
        return self.dropout(x, training=training)


class Attention(Part):
    """Queries of one sequence over keys and values of another (or the same)."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads, self.size = heads, width // heads
        self.query, self.key_value, self.out = dense(width), dense(2 * width), dense(width)

    def keys_values(self, x: Any) -> tuple[Any, Any]:
        """(B, S, W) -> keys and values, each (B, heads, S, W / heads)."""
        keys, values = tf.split(self._split(self.key_value(x)), 2, axis=1)
        return keys, values

    def call(self, x: Any, keys: Any, values: Any, mask: Any) -> Any:
        """Attention over another sequence, by its keys and values; mask: added to scores."""
        return self.mixed(self._split(self.query(x)), keys, values, mask)

    def within(self, x: Any, mask: Any) -> Any:
        """Self-attention over all of x."""
        places = tf.range(tf.shape(x)[1])
        return self.mixed(*self.projected(x, places), mask)

    def projected(self, x: Any, places: Any) -> tuple[Any, Any, Any]:
        """Queries and keys, turned by their positions, and values."""
        keys, values = self.keys_values(x)
        return rotated(self._split(self.query(x)), places), rotated(keys, places), values

    def mixed(self, queries: Any, keys: Any, values: Any, mask: Any) -> Any:
        """(B, T, W) what the queries find."""
        scores = tf.matmul(queries, keys, transpose_b=True) / self.size**0.5
        shares = tf.nn.softmax(scores if mask is None else scores + mask)
        joined = tf.transpose(tf.matmul(shares, values), [0, 2, 1, 3])
        shape = tf.shape(joined)
        return self.out(tf.reshape(joined, [shape[0], shape[1], self.heads * self.size]))

    def _split(self, x: Any) -> Any:
        """(B, T, n size) -> (B, n, T, size): as many heads as there are."""
        shape = tf.shape(x)
        heads = x.shape[-1] // self.size
        return tf.transpose(tf.reshape(x, [shape[0], shape[1], heads, self.size]), [0, 2, 1, 3])


class FeedForward(Part):
    """Two linear maps with a GELU between them."""

    renamed: ClassVar = {"wide": "0", "narrow": "2"}

    def __init__(self, width: int):
        super().__init__()
        self.wide, self.narrow = dense(4 * width), dense(width)

    def call(self, x: Any) -> Any:
        return self.narrow(tf.nn.gelu(self.wide(x), approximate=False))


class Residual(Part):
    """A part of a layer with its residual connection; normalized before."""

    def __init__(self, dropout: float):
        super().__init__()
        self.norm, self.dropout = norm(), keras.layers.Dropout(dropout)

    def call(self, x: Any, part: Callable[[Any], Any], training: bool) -> Any:
        return x + self.dropout(part(self.norm(x)), training=training)


class SelfLayer(Part):
    """Self-attention, then feed-forward."""

    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        self.within, self.feed = Attention(width, heads), FeedForward(width)
        self.attend, self.change = Residual(dropout), Residual(dropout)

    def call(self, x: Any, mask: Any, training: bool) -> Any:
        x = self.attend(x, lambda y: self.within.within(y, mask), training)
        return self.change(x, self.feed, training)


class CrossLayer(Part):
    """Self-attention, attention over the source, feed-forward."""

    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        self.within, self.across = Attention(width, heads), Attention(width, heads)
        self.feed = FeedForward(width)
        self.attend, self.look, self.change = (Residual(dropout) for _ in range(3))

    def call(
        self,
        x: Any,
        within: Callable[[Any], Any],
        keys: Any,
        values: Any,
        mask: Any,
        training: bool,
    ) -> Any:
        """within: self-attention; keys, values, mask: of the source."""
        x = self.attend(x, within, training)
        x = self.look(x, lambda y: self.across(y, keys, values, mask), training)
        return self.change(x, self.feed, training)


def dense(units: int) -> Any:
    """A linear map with Glorot's uniform weights and no bias at first."""
    return keras.layers.Dense(units)


def table(rows: int, width: int) -> Any:
    """An embedding whose vectors have length 1 at first."""
    start = keras.initializers.RandomNormal(stddev=width**-0.5)
    return keras.layers.Embedding(rows, width, embeddings_initializer=start)


def norm() -> Any:
    """Layer normalization with torch's constant."""
    return keras.layers.LayerNormalization(epsilon=1e-5)


def rotated(x: Any, places: Any) -> Any:
    """(B, heads, T, size), pairs of neighbours rotated by angles that grow with (T,) `places`
    (Su et al., 2021)."""
    half = x.shape[-1] // 2
    steps = tf.constant(10_000.0 ** (-np.arange(half) / half), x.dtype)
    angles = tf.cast(places, x.dtype)[:, None] * steps
    sine, cosine = tf.sin(angles), tf.cos(angles)
    a, b = x[..., 0::2], x[..., 1::2]
    turned = tf.stack([a * cosine - b * sine, a * sine + b * cosine], axis=-1)
    return tf.reshape(turned, tf.shape(x))


def hiding(source: Any, dtype: Any) -> Any:
    """(B, S) ids -> (B, 1, 1, S) what to add to scores: very little at padding, else 0."""
    return tf.where(source == PAD, dtype.min, 0)[:, None, None]


def looking_back(length: Any, dtype: Any) -> Any:
    """(T, T) what to add to scores so that no position sees a later one."""
    places = tf.range(length)
    return tf.where(places[None] > places[:, None], dtype.min, tf.constant(0, dtype))


def pooled(x: Any, source: Any, segments: int) -> Any:
    """(B, S, W) states -> (B, W) mean over the text; for two texts, (B, 4 W) features of the pair:
    both means u and v, |u - v| and u * v (Conneau et al., 2017, InferSent)."""
    used = source != PAD
    if segments == 1:
        return _mean(x, used)
    which = segment(source)
    u, v = _mean(x, used & (which == 0)), _mean(x, used & (which == 1))
    return tf.concat([u, v, tf.abs(u - v), u * v], axis=-1)


def segment(source: Any) -> Any:
    """(B, S) which of the texts a token belongs to; each ends with END, which belongs to it."""
    ends = tf.cast(source == END, tf.int32)
    return tf.cumsum(ends, axis=1) - ends


def check_heads(width: int, heads: int) -> None:
    """MsbenchError unless the width can be divided among the heads in pairs of numbers."""
    if heads < 1 or width % (2 * heads):
        raise msbench.MsbenchError(
            f"width {width} is not a multiple of twice the heads, {2 * heads}"
        )


def _mean(x: Any, used: Any) -> Any:
    weight = tf.cast(used, x.dtype)
    return tf.reduce_sum(x * weight[..., None], 1) / tf.maximum(
        tf.reduce_sum(weight, 1, keepdims=True), 1
    )
