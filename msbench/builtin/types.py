"""Types of options, with their bounds: the plan checks them before any compute."""

from typing import Annotated

from pydantic import Field

Size = Annotated[int, Field(ge=1)]


Share = Annotated[float, Field(ge=0, lt=1)]
