"""Records of finished runs into results/reference, without those that no longer belong.

python benchmarks/reference.py SUITE ...

Takes over what belongs to the suite as it is now, on the data as it is now, trial by trial in the
order of their keys, from results/SUITE. Needs the data.
"""

import sys
from pathlib import Path

from msbench import Record, load_plugins, load_suite, read
from msbench.plan.trials import expected, measurements
from msbench.plugins.registry import Registry
from msbench.spec import Part

ROOT = Path(__file__).parent.parent / "results"


def keys(name: str, registry: Registry, records: tuple[Record, ...]) -> set[str]:
    """Of every trial and measurement of a suite, as far as records of a search decide."""

    def fingerprint(part: Part) -> str:
        return str(registry.build("task", part)().fingerprint())

    suite = load_suite(name)
    trials = expected(suite, registry, records, fingerprint)
    return {job.key for job in [*trials, *measurements(suite, trials)]}


if __name__ == "__main__":
    registry = load_plugins()
    for name in sys.argv[1:]:
        # The suite's name, or the path of one that a plugin brings.
        records = read(ROOT / Path(name).stem).records
        wanted = keys(name, registry, records)
        # The last record of a key counts, as it does in tables.
        found = {r.key: r for r in records if r.key in wanted}
        folder = ROOT / "reference" / Path(name).stem
        folder.mkdir(parents=True, exist_ok=True)
        for file, trials in (("trials.jsonl", True), ("throughput.jsonl", False)):
            lines = [found[key].to_json() for key in sorted(found) if found[key].is_trial == trials]
            if lines:
                (folder / file).write_text("\n".join(lines) + "\n")
        print(f"{name}: {len(found)} of {len(wanted)} records")
