"""What tuning searches: rates around the package's default, and of the best known what is usual."""

from typing import Any

ADAM = (3e-4, 3e-2)
RATES: dict[str, tuple[float, float]] = {
    "adabelief": ADAM,
    "adahessian": (1e-2, 1.0),
    "adamp": ADAM,
    "adan": ADAM,
    "ademamix": ADAM,
    "adopt": ADAM,
    "came": (1e-4, 1e-2),
    "dadaptadam": (0.3, 3.0),
    "kron": (1e-4, 1e-2),
    "lamb": (1e-3, 1e-1),
    "laprop": (1e-4, 1e-2),
    "lion": (3e-5, 3e-3),
    "madgrad": (1e-4, 1e-1),
    "mars": ADAM,
    "muon": (2e-3, 2e-1),
    "prodigy": (0.3, 3.0),
    "radam": ADAM,
    "soap": ADAM,
    "stableadamw": ADAM,
    "yogi": (1e-3, 1e-1),
}
"""Of the twenty best known."""

DEFAULT_DECAY = {"soap": 0.01, "stableadamw": 0.01}
"""Where it is not 0."""


def space_of(name: str, rate: float) -> dict[str, Any]:
    """The space of one optimizer, whose rate is `rate` unless one is given."""
    if name not in RATES:
        return {"lr": (rate / 10, rate * 10, "log")}
    decay = DEFAULT_DECAY.get(name, 0.0)
    return {"lr": (*RATES[name], "log"), "weight_decay": (decay, 0.1, "choice")}
