"""`python -m msbench`."""

from msbench.cli import main

if __name__ == "__main__":
    main(prog_name="msbench")
