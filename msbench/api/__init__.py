"""The Python way: what the command line does, for notebooks and programs."""
