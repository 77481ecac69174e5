"""`python -m msbench`."""

from msbench.cli.app import main

if __name__ == "__main__":
    main(prog_name="msbench")
