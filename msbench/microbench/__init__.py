"""The pytest-benchmark suite of every part that plugins registered, each timed alone."""
