"""TensorFlow and Keras, imported in one place: quietly, and with a sentence if they are missing."""

import os
from importlib import import_module
from typing import Any

import msbench


def _imported(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise msbench.MsbenchError(
            f"msbench-tensorflow needs TensorFlow and Keras ({error}): "
            "pip install tensorflow-cpu keras"
        ) from error


def _quietly() -> tuple[Any, Any]:
    """TensorFlow tells of its build on stderr unless it is told not to before it is imported, and
    leaves words of its own in the environment, which nothing reads later."""
    before = dict(os.environ)
    os.environ.update({"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"})
    try:
        return _imported("tensorflow"), _imported("keras")
    finally:
        os.environ.clear()
        os.environ.update(before)


tf, keras = _quietly()

if keras.backend.backend() != "tensorflow":  # somebody imported it with another one before
    raise msbench.MsbenchError(
        f"msbench-tensorflow needs Keras on TensorFlow, and it runs on {keras.backend.backend()}"
    )
