"""The version of msbench."""

__version__ = "0.1.0"
