"""Streams of randomness: each derived from (seed, purpose), never from the strategy.

So competitors with the same seed see the same start and the same batches, and a stream that one
of them uses more of (dropout under SAM) does not shift another.
"""

import hashlib

import numpy as np


def derive(seed: int, purpose: str) -> int:
    """The 63-bit seed of the stream `purpose` ("init", "order", "dropout", ...)."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{purpose}".encode()).digest()[:8], "big") >> 1


def stream(seed: int, purpose: str) -> np.random.Generator:
    """A fresh numpy generator of that stream."""
    return np.random.default_rng(derive(seed, purpose))
