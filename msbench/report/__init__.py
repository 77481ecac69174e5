"""Tables -> text, one HTML page, pictures."""

from msbench.report.page import report
from msbench.report.render import render

__all__ = ["render", "report"]
