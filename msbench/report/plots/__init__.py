"""Comparison -> pictures, one file each."""

from importlib import import_module
from typing import Any

from msbench.report.plots.plot import Plot, picture
from msbench.spec import PICTURES

PLOTS: dict[str, Plot[Any]] = {name: import_module(f"{__name__}.{name}").PLOT for name in PICTURES}
"""Every kind of picture by name, in the order of the report."""

__all__ = ["PLOTS", "Plot", "picture"]
