"""Weights by the names that the same network has in torch, as safetensors."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from msbench import MsbenchError
from msbench_tensorflow.framework import keras

NAMES = {
    "kernel": "weight",
    "embeddings": "weight",
    "gamma": "weight",
    "bias": "bias",
    "beta": "bias",
}
"""What Keras' layers call their weights -> what torch's do."""


def named(layer: Any, prefix: str = "") -> dict[str, Any]:
    """The variables of a layer and of all layers inside it, each once, by the first of its names.

    A weight of a layer that torch does not have keeps the name it has in Keras.
    """
    found: dict[int, tuple[str, Any]] = {}
    for name, variable in _walked(layer, prefix):
        found.setdefault(id(variable), (name, variable))
    for variable in layer.weights:
        found.setdefault(id(variable), (f"{prefix}{variable.path}", variable))
    return dict(found.values())


def save(layer: Any, path: Path, about: Mapping[str, str]) -> None:
    """Write all weights; matrices as torch has them, which multiplies from the other side."""
    arrays = {n: np.ascontiguousarray(_turned(n, v, v.numpy())) for n, v in named(layer).items()}
    save_file(arrays, path, dict(about))


def load(layer: Any, path: Path) -> None:
    """Read what `save` wrote, or what msbench wrote of the same network in torch."""
    try:
        saved = load_file(path)
    except (SafetensorError, OSError) as error:
        raise MsbenchError(f"{path}: these are no whole weights: {error}") from error
    variables = named(layer)
    wrong = sorted(saved.keys() ^ variables.keys())
    wrong += [
        name
        for name in sorted(saved.keys() & variables.keys())
        if _turned(name, variables[name], saved[name]).shape != tuple(variables[name].shape)
    ]
    if wrong:
        raise MsbenchError(
            f"{path}: weights of another model: {len(wrong)} do not fit, such as {wrong[0]!r}"
        )
    for name, variable in variables.items():
        variable.assign(_turned(name, variable, saved[name]))


def _walked(layer: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Names and variables, depth first, in the order in which attributes were set."""
    renamed = getattr(layer, "renamed", {})
    for name, value in vars(layer).items():
        if name.startswith("_"):
            continue
        called = renamed.get(name, name)
        inside = enumerate(value) if isinstance(value, list) else [("", value)]
        for number, each in inside:
            step = f"{prefix}{called}." + (f"{number}." if number != "" else "")
            if isinstance(each, keras.layers.Layer):
                yield from _walked(each, step)
                yield from _own(each, step)


def _own(layer: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, called in NAMES.items():
        variable = getattr(layer, name, None)
        if isinstance(variable, keras.Variable):
            yield prefix + called, variable


def _turned(name: str, variable: Any, array: Any) -> Any:
    """Between Keras' (in, out) and torch's (out, in); both ways alike."""
    return array.T if variable.path.endswith("kernel") and array.ndim == 2 else array
