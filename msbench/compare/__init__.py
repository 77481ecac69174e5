"""Records -> tables and verdicts, with neither torch nor the plugins the records came from."""

from msbench.compare.comparison import compare

__all__ = ["compare"]
