"""Types of options with their bounds, which the plan checks before any compute.

Each range has one name, and every built-in part that needs the range uses it.
"""

from typing import Annotated

from pydantic import Field

Count = Annotated[int, Field(ge=0)]
Size = Annotated[int, Field(ge=1)]
Steps = Annotated[int, Field(ge=1, le=1000)]
Iterations = Annotated[int, Field(ge=1, le=100)]
NewtonSchulzSteps = Annotated[int, Field(ge=1, le=20)]
Ngrams = Annotated[int, Field(ge=1, le=5)]
Workers = Annotated[int, Field(ge=2, le=64)]

Share = Annotated[float, Field(ge=0, lt=1)]
OpenShare = Annotated[float, Field(gt=0, lt=1)]
PositiveShare = Annotated[float, Field(gt=0, le=1)]
MixingWeight = Annotated[float, Field(ge=0, le=1)]

Finite = Annotated[float, Field(allow_inf_nan=False)]
FiniteNotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
UpTo10 = Annotated[float, Field(ge=0, le=10)]

Rate = Annotated[float, Field(gt=0, le=100)]
OuterRate = Annotated[float, Field(gt=0, le=10)]
WeightDecay = Annotated[float, Field(ge=0, le=100)]
DecayExponent = Annotated[float, Field(gt=-1, lt=0)]

Temperature = Annotated[float, Field(ge=1e-3, allow_inf_nan=False)]
"""A lower temperature would be greedy decoding but for rounding."""

Delimiter = Annotated[str, Field(max_length=1)]
FilePath = Annotated[str, Field(min_length=1)]
