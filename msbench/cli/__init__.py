"""The command line: parse, call, print. Only here do both ends of the flow meet."""

from msbench.cli.app import main

__all__ = ["main"]
