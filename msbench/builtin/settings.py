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


def _cudnn(torch: Any) -> tuple[bool, bool, bool]:
    cudnn = torch.backends.cudnn
    return cudnn.enabled, cudnn.benchmark, cudnn.deterministic


def _set_cudnn(torch: Any, value: tuple[bool, bool, bool]) -> None:
    cudnn = torch.backends.cudnn
    cudnn.enabled, cudnn.benchmark, cudnn.deterministic = value


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
    "torch's use of cuDNN": _setting(_cudnn, _set_cudnn, (True, False, False)),
    "random numbers (torch)": _setting(_random, _set_random, None),
}
"""By what a warning calls them; see `msbench.plugins.state`."""
