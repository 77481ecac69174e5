"""Types of options: one name for each range, and what is inside and outside of it."""

from math import inf
from pathlib import Path
from typing import Annotated, get_origin

import pytest
from pydantic import TypeAdapter, ValidationError

from msbench.builtin import types

BOUNDS = {
    "Count": ([0, 10**9], [-1]),
    "Size": ([1, 10**9], [0]),
    "Steps": ([1, 1000], [0, 1001]),
    "Iterations": ([1, 100], [0, 101]),
    "NewtonSchulzSteps": ([1, 20], [0, 21]),
    "Ngrams": ([1, 5], [0, 6]),
    "Workers": ([2, 64], [1, 65]),
    "Share": ([0.0, 0.999], [-0.001, 1.0]),
    "OpenShare": ([0.001, 0.999], [0.0, 1.0]),
    "PositiveShare": ([0.001, 1.0], [0.0, 1.001]),
    "MixingWeight": ([0.0, 1.0], [-0.001, 1.001]),
    "Finite": ([-1e9, 1e9], [inf]),
    "FiniteNotNegative": ([0.0, 1e9], [-0.001, inf]),
    "NotNegative": ([0.0, inf], [-0.001]),
    "Positive": ([0.001, inf], [0.0]),
    "UpTo10": ([0.0, 10.0], [-0.001, 10.001]),
    "Rate": ([1e-9, 100.0], [0.0, 100.001]),
    "OuterRate": ([1e-9, 10.0], [0.0, 10.001]),
    "WeightDecay": ([0.0, 100.0], [-0.001, 100.001]),
    "DecayExponent": ([-0.999, -0.001], [-1.0, 0.0]),
    "Temperature": ([1e-3, 1e9], [0.0009, inf]),
    "Delimiter": (["", ";"], [";;"]),
    "FilePath": (["a.csv"], [""]),
}
"""Values that are accepted, and values that are refused."""


@pytest.mark.parametrize("name", BOUNDS)
def test_bounds(name: str) -> None:
    option, (accepted, refused) = TypeAdapter(getattr(types, name)), BOUNDS[name]
    assert [option.validate_python(value) for value in accepted] == accepted
    for value in refused:
        with pytest.raises(ValidationError):
            option.validate_python(value)


def test_each_range_has_one_name_in_one_place() -> None:
    ranges = {name: str(t) for name, t in vars(types).items() if get_origin(t) is Annotated}
    assert set(ranges) == set(BOUNDS)
    assert len(set(ranges.values())) == len(ranges)
    modules = Path(types.__file__).parent.rglob("*.py")
    assert [path.name for path in modules if "Annotated[" in path.read_text()] == ["types.py"]
