"""The sham: one recipe against itself with its rate times 1.001, through the whole program.

    python studies/aa.py [--seeds N]

Every task of `quick` is trained by adamw and by its sham, seed by seed on the same batches. Samples
of 3, 5 and 10 of these seeds are compared as `msbench compare` does, by task, and the share of each
verdict is printed. "Better" and "worse" are false: such a difference must not matter. One that is
shown nevertheless should be "within the margin".
"""

import argparse
from collections import Counter
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from tabulate import tabulate

from msbench import Record, load_plugins, load_suite, read, run_suite
from msbench.compare import compare
from msbench.compare.judge import VERDICTS
from msbench.run.device import limit_threads
from msbench.spec import Question, Suite

TRUE, SHAM = "adamw", "sham"
SAMPLES, SIZES, LARGER = 200, (3, 5, 10), 1.001


def paired_suite(seeds: int) -> Suite:
    """`quick` with adamw alone, and with its sham beside it."""
    quick = load_suite("quick")
    adamw = next(each for each in quick.optimizers if each.name == TRUE)
    sham = replace(adamw, label=SHAM, options={"lr": adamw.options["lr"] * LARGER})
    throughput = replace(quick.throughput, rounds=0)
    return replace(
        quick, optimizers=(adamw, sham), seeds=tuple(range(seeds)), throughput=throughput
    )


def train_all(seeds: int) -> list[Record]:
    """The records of both, from a run of the suite."""
    with TemporaryDirectory() as folder:
        for _ in run_suite(paired_suite(seeds), load_plugins(), Path(folder)):
            pass
        return list(read(Path(folder)).records)


def verdicts(
    records: list[Record], size: int, draw: np.random.Generator
) -> dict[str, Counter[str]]:
    """By task, how often each verdict was given to the sham of a sample of seeds."""
    found: dict[str, Counter[str]] = {}
    seeds = sorted({record.trial["seed"] for record in records})
    for _ in range(SAMPLES if size < len(seeds) else 1):
        chosen = set(draw.permutation(seeds)[:size].tolist())
        sample = [record for record in records if record.trial["seed"] in chosen]
        for row in compare(sample, question=Question("optimizer", TRUE)).accuracy:
            if row["decides"] and not row["baseline"]:
                found.setdefault(row["task"], Counter())[row["verdict"]] += 1
    return found


def main(seeds: int) -> None:
    """Train, compare, and print a row for each task and number of seeds."""
    records = train_all(seeds)
    assert all(record.status == "ok" for record in records)
    draw, rows = np.random.default_rng(0), []
    for size in (each for each in SIZES if each <= seeds):
        for task, counts in verdicts(records, size, draw).items():
            shares = [f"{counts[word] / counts.total():.1%}" for word in VERDICTS]
            false = (counts["better"] + counts["worse"]) / counts.total()
            rows.append([task, size, *shares, f"{false:.1%}"])
    print(tabulate(rows, ["task", "seeds", *VERDICTS, "false"], disable_numparse=True))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=20, help="to train (default: 20)")
    limit_threads(1)
    main(parser.parse_args().seeds)
