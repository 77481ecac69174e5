"""The short search behind the options of suites/quick.toml: the bracket of `[tuning]`, per task.

    python studies/quick_rates.py [--task NAME ...] [--trials N] [--workers N] [--out FOLDER]

Every strategy of the suite is searched over all that it declares, on each task by itself, with the
seeds of a search, which the suite does not use, and with one validation at the end. Prints the
winners, writes them to results/reference/quick-rates.json, and writes the suite's options by task.
Without --task on all tasks; with it, the winners of the others stay. An interrupted search goes on
where it was.
"""

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from tabulate import tabulate

from msbench import Choice, Record, Registry, Trial, load_plugins, load_suite, read, run_suite
from msbench.cli.interrupts import Stop
from msbench.cli.progress import show_progress
from msbench.data.download import fetch
from msbench.plan.overrides import restricted
from msbench.plan.trials import expected, with_overrides
from msbench.run.device import limit_threads
from msbench.run.driver import cache_by_part, fingerprint_of
from msbench.spec import Suite, Throughput, Tuning, display_name

OUT = Path("results/reference/quick-rates.json")
SUITE = Path("suites/quick.toml")
TUNED_BY = 'tuned_by = "studies/quick_rates.py"'

Row = Mapping[str, Any]
Found = dict[str, Any]


def untuned(suite: Suite, trials: int) -> Suite:
    """The suite without options by task, with a search instead."""
    general = [replace(_free(each), others=()) for each in suite.optimizers if not each.tasks]
    training = {task: replace(each, validations=1) for task, each in suite.training.items()}
    return replace(
        suite,
        optimizers=tuple(general),
        yardsticks=(),
        training=training,
        tuned_by="",
        tuning=Tuning(trials=trials),
        throughput=Throughput(rounds=0),
        seeds=(),
    )


def _free(choice: Choice) -> Choice:
    """A strategy with nothing set but what it wraps."""
    inside = {n: _free(each) for n, each in choice.options.items() if isinstance(each, Choice)}
    return replace(choice, options=inside)


def winners(suite: Suite, registry: Registry, folder: Path) -> list[Row]:
    """A row per task and strategy, from the records of a search in a folder."""
    fingerprint = cache_by_part(partial(fingerprint_of, registry, fetch=fetch))
    records = read(folder).records
    trials = expected(replace(suite, seeds=(0,)), registry, records, fingerprint)
    searched = {record.key for record in records}
    if lost := [trial for trial in trials if trial.is_search and trial.key not in searched]:
        raise RuntimeError(f"{len(lost)} trials of the search have no record")
    return [_row(trial) for trial in trials if not trial.is_search]


def _row(final: Trial) -> Row:
    assert final.tuned is not None
    return {
        "task": display_name(final.task),
        "optimizer": display_name(final.optimizer),
        "options": dict(final.tuned.options),
        "edge": list(final.tuned.edge),
    }


def costs(records: Sequence[Record]) -> Found:
    """By task: the trials of the search and their passes."""
    found: Found = {}
    for record in records:
        sums = found.setdefault(record.trial["task"]["name"], {"trials": 0, "passes": 0})
        sums["trials"] += 1
        sums["passes"] += round(record.trial_results["training"]["passes"] or 0)
    return found


def merged(known: Found, rows: Sequence[Row], cost: Found) -> Found:
    """What a search found, and what is known of the tasks that it left out."""
    kept = [row for row in known["winners"] if row["task"] not in cost]
    return {"cost": known["cost"] | cost, "winners": [*rows, *kept]}


def with_winners(text: str, rows: Sequence[Row]) -> str:
    """The text of the suite with the winners as options by task, and with who chose them."""
    blocks = text.split("\n\n")
    if TUNED_BY not in blocks[0]:
        blocks[0] += f"\n{TUNED_BY}"
    return "\n\n".join(_block(block, rows) for block in blocks)


def _block(block: str, rows: Sequence[Row]) -> str:
    """A paragraph of the suite; an optimizer's ends in its options by task."""
    if "[[optimizer]]" not in block:
        return block
    said = dict(re.findall(r'^(name|label) = "(.*)"$', block, re.MULTILINE))
    kept = [line for line in block.rstrip().split("\n") if not line.startswith("per_task.")]
    return "\n".join([*kept, *_lines(said.get("label") or said["name"], rows)])


def _lines(name: str, rows: Sequence[Row]) -> list[str]:
    """`per_task.bbc-news = { lr = 0.1 }` for every task."""
    return [
        f"per_task.{row['task']} = {{ "
        + ", ".join(f"{_key(option)} = {value!r}" for option, value in row["options"].items())
        + " }"
        for row in rows
        if row["optimizer"] == name
    ]


def _key(option: str) -> str:
    """As TOML has it: a name with a dot is quoted."""
    return json.dumps(option) if "." in option else option


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--task", action="append", default=[], metavar="NAME")
    parser.add_argument("--trials", type=int, default=14, help="of each search")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("results/quick-rates"), help="records")
    asked = parser.parse_args()
    limit_threads(1)
    registry, suite = load_plugins(), untuned(load_suite("quick"), asked.trials)
    suite = with_overrides(suite, seeds=None, device=None, workers=asked.workers)
    suite = restricted(suite, {"task": asked.task}, registry)
    events = run_suite(suite, registry, asked.out)
    next(events)
    show_progress(events, Stop())
    rows = winners(suite, registry, asked.out)
    print(tabulate(rows, headers="keys", disable_numparse=True))
    known = merged(json.loads(OUT.read_text()), rows, costs(read(asked.out).records))
    OUT.write_text(json.dumps(known, indent=1) + "\n")
    SUITE.write_text(with_winners(SUITE.read_text(), known["winners"]))
