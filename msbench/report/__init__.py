"""Tables -> text, one HTML page, pictures.

The page (`report.page`) brings the pictures with it; what prints tables needs neither.
"""

from msbench.report.render import render

__all__ = ["render"]
