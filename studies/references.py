"""Remake the reference records: run suites again, and put what they leave into results/reference.

    python studies/references.py [--costs] [SUITE ...]           (make references SUITES="...")

Without names, every suite of msbench's own that has reference records (that of a plugin package is
named by its file); the cheapest first, by the seconds that the records themselves took. An
interrupted run goes on where it was: records are kept in results/remade until all suites that were
asked for are done. A suite's reference is only replaced when its run is complete, by the records
that belong to it, in the order of their keys. --costs: print what each suite took, and run nothing.
"""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from msbench import Registry, load_plugins, load_suite, read, run_suite
from msbench.plan.shipped import shipped_suites
from msbench.plan.trials import measurements
from msbench.records.question import FILE
from msbench.records.store import THROUGHPUT, TRIALS
from msbench.run.events import Planned
from msbench.spec import Job

RESULTS = Path("results")
NOT_OK = 3
"""How `msbench run` exits when it is complete but some trials did not end ok."""


def costs(reference: Path, names: Sequence[str]) -> dict[str, tuple[int, float]]:
    """(number, sum of seconds) of the reference records by suite, the cheapest first.

    Suites without records come last. Without names, all of msbench's suites that have some.
    """
    there = {path.parent.name for path in reference.glob(f"*/{TRIALS}")}
    names = names or sorted(there & shipped_suites().keys())
    known = {}
    for name in names:
        folder = reference / Path(name).stem
        records = read(folder, strict=False).records if folder.is_dir() else ()
        known[name] = len(records), sum(record.seconds for record in records)
    return dict(sorted(known.items(), key=lambda item: (not item[1][0], item[1][1], item[0])))


def cost_table(known: dict[str, tuple[int, float]]) -> str:
    """A row per suite and one of the sum."""
    rows = [*known.items(), ("all", tuple(map(sum, zip(*known.values(), strict=True))))]
    cells = [[name, count, f"{seconds / 3600:.2f}"] for name, (count, seconds) in rows]
    return tabulate(cells, ["suite", "records", "core-hours"], disable_numparse=True)


def take_over(name: str, registry: Registry, remade: Path, reference: Path) -> str:
    """Replace a suite's reference by its finished run; returns a line about it.

    A record that no longer belongs to the suite is left behind. RuntimeError if one is missing.
    """
    suite = load_suite(name)
    planned = next(run_suite(suite, registry, remade / suite.name, fetch=None))
    assert isinstance(planned, Planned)
    jobs: list[Job] = [*planned.expected, *measurements(suite, planned.expected)]
    records = {record.key: record for record in read(remade / suite.name).records}
    missing = [job.key for job in jobs if job.key not in records]
    if missing:
        raise RuntimeError(f"{name}: {len(missing)} of {len(jobs)} jobs have no record")
    folder = reference / suite.name
    folder.mkdir(parents=True, exist_ok=True)
    chosen = [records[key] for key in sorted({job.key for job in jobs})]
    for file, trials in ((TRIALS, True), (THROUGHPUT, False)):
        lines = [record.to_json() + "\n" for record in chosen if record.is_trial == trials]
        (folder / file).unlink(missing_ok=True)
        if lines:
            (folder / file).write_text("".join(lines))
    shutil.copy(remade / suite.name / FILE, folder / FILE)
    bad = sum(record.status != "ok" for record in chosen)
    return f"{name}: {len(chosen)} records, {bad} of them not ok"


def remake(names: Sequence[str], results: Path = RESULTS) -> None:
    """Run the suites one after the other, each into its reference; then remove their runs."""
    registry, remade = load_plugins(), results / "remade"
    for name in names:
        command = [sys.executable, "-m", "msbench", "run", name, "--out", str(remade)]
        ended = subprocess.run(command, stdout=subprocess.DEVNULL)
        if ended.returncode not in (0, NOT_OK):
            sys.exit(ended.returncode)
        print(take_over(name, registry, remade, results / "reference"), flush=True)
    for name in names:
        shutil.rmtree(remade / Path(name).stem)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("suites", nargs="*", metavar="SUITE", help="names, or paths of files")
    parser.add_argument("--costs", action="store_true", help="print costs and run nothing")
    parser.add_argument("--results", type=Path, default=RESULTS, help="instead of results")
    asked = parser.parse_args()
    known = costs(asked.results / "reference", asked.suites)
    print(cost_table(known), flush=True)
    if not asked.costs:
        remake(list(known), asked.results)
