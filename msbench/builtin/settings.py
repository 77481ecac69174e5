"""What torch has for the whole process; read and written without importing it."""

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

Setting = tuple[Callable[[], Any], Callable[[Any], Any]]


def _threads() -> int | None:
    """What torch will begin with, where the environment says it."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdigit() else None


def _setting(read: Callable[[Any], Any], write: Callable[[Any, Any], Any], usual: Any) -> Setting:
    """usual: its value until torch is loaded."""

    def get() -> Any:
        torch = sys.modules.get("torch")
        if hasattr(torch, "set_flush_denormal"):  # loaded, and not only begun
            return read(torch)
        return usual() if callable(usual) else usual

    return get, lambda value: write(sys.modules["torch"], value)


def _keeps_denormals(torch: Any) -> bool:
    """torch only says how to set it."""
    return bool(torch.tensor(5e-324, dtype=torch.float64, device="cpu").mul(1.0).ne(0.0))


def _set_device(torch: Any, name: str) -> None:
    torch.set_default_device(None if name == "cpu" else name)


def _deterministic(torch: Any) -> tuple[bool, bool]:
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )


def _set_deterministic(torch: Any, value: tuple[bool, bool]) -> None:
    torch.use_deterministic_algorithms(value[0], warn_only=value[1])


CUDNN = ("enabled", "benchmark", "deterministic", "allow_tf32")


def _cudnn(torch: Any) -> tuple[bool, ...]:
    return tuple(getattr(torch.backends.cudnn, name) for name in CUDNN)


def _set_cudnn(torch: Any, value: tuple[bool, ...]) -> None:
    for name, on in zip(CUDNN, value, strict=True):
        setattr(torch.backends.cudnn, name, on)


def _mkldnn(torch: Any) -> tuple[bool, bool]:
    return torch.backends.mkldnn.enabled, torch.backends.mkldnn.deterministic


def _set_mkldnn(torch: Any, value: tuple[bool, bool]) -> None:
    torch.backends.mkldnn.set_flags(*value)


AUTOCAST = ("cpu", "cuda")
"""Kinds of devices."""


def _autocast(torch: Any) -> dict[str, Any]:
    return {
        kind: (torch.is_autocast_enabled(kind), str(torch.get_autocast_dtype(kind)))
        for kind in AUTOCAST
    }


def _set_autocast(torch: Any, value: Mapping[str, Any]) -> None:
    for kind, (on, dtype) in value.items():
        torch.set_autocast_enabled(kind, on)
        torch.set_autocast_dtype(kind, getattr(torch, dtype.removeprefix("torch.")))


ATTENTION = ("flash", "mem_efficient", "math", "cudnn")
"""Kernels, by what torch calls their switches."""


def _attention(torch: Any) -> dict[str, bool]:
    return {name: getattr(torch.backends.cuda, f"{name}_sdp_enabled")() for name in ATTENTION}


def _set_attention(torch: Any, value: Mapping[str, bool]) -> None:
    for name, on in value.items():
        getattr(torch.backends.cuda, f"enable_{name}_sdp")(on)


def _hooks(torch: Any) -> dict[str, dict[Any, Any]]:
    """All that torch calls for every module, whoever made it."""
    module = torch.nn.modules.module
    return {n: dict(v) for n, v in vars(module).items() if n.startswith("_global_") and v}


def _set_hooks(torch: Any, value: Mapping[str, dict[Any, Any]]) -> None:
    for name, hooks in vars(torch.nn.modules.module).items():
        if name.startswith("_global_") and isinstance(hooks, dict):
            hooks.clear()
            hooks.update(value.get(name, {}))


def _random(torch: Any) -> bytes:
    return bytes(torch.get_rng_state().numpy().tobytes())


def _set_random(torch: Any, value: bytes) -> None:
    torch.set_rng_state(torch.frombuffer(bytearray(value), dtype=torch.uint8))


SETTINGS: Mapping[str, Setting] = {
    "torch's default dtype": _setting(
        lambda torch: str(torch.get_default_dtype()).removeprefix("torch."),
        lambda torch, name: torch.set_default_dtype(getattr(torch, name)),
        "float32",
    ),
    "torch's default device": _setting(
        lambda torch: str(torch.get_default_device()), _set_device, "cpu"
    ),
    "torch's threads": _setting(
        lambda torch: torch.get_num_threads(),
        lambda torch, number: torch.set_num_threads(number),
        _threads,
    ),
    "whether torch keeps gradients": _setting(
        lambda torch: torch.is_grad_enabled(),
        lambda torch, on: torch.set_grad_enabled(on),
        True,
    ),
    "torch's anomaly detection": _setting(
        lambda torch: torch.is_anomaly_enabled(),
        lambda torch, on: torch.autograd.set_detect_anomaly(on),
        False,
    ),
    "torch's deterministic algorithms": _setting(
        _deterministic, _set_deterministic, (False, False)
    ),
    "torch's precision of matrix products": _setting(
        lambda torch: torch.get_float32_matmul_precision(),
        lambda torch, name: torch.set_float32_matmul_precision(name),
        "highest",
    ),
    "torch's treatment of denormal numbers": _setting(
        _keeps_denormals, lambda torch, keeps: torch.set_flush_denormal(not keeps), True
    ),
    "torch's use of cuDNN": _setting(_cudnn, _set_cudnn, (True, False, False, True)),
    "torch's use of oneDNN": _setting(_mkldnn, _set_mkldnn, (True, False)),
    "torch's autocast": _setting(
        _autocast,
        _set_autocast,
        {"cpu": (False, "torch.bfloat16"), "cuda": (False, "torch.float16")},
    ),
    "torch's kernels of attention": _setting(
        _attention, _set_attention, dict.fromkeys(ATTENTION, True)
    ),
    "torch's hooks of all modules": _setting(_hooks, _set_hooks, {}),
    "random numbers (torch)": _setting(_random, _set_random, None),
}
"""By what a warning calls them; see `msbench.plugins.state`."""
