"""Do two checkouts print the same about the same records, but for what was changed on purpose?

    python studies/same_outputs.py OLD NEW [--suites NAME ...] [--records FOLDER] [--show]

OLD and NEW are checkouts; the records are OLD's results/reference unless --records says otherwise.
Every command that reads records is called in every form for every suite, in either checkout, and
so is `msbench run --dry-run`, which prints the keys of trials. The keys of all records, and of
those that each checkout has committed, are computed again from their jobs. Outputs must be equal
byte for byte, or equal once studies/intended_changes.py is applied to the old one. --show prints
the first lines that differ.
"""

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from difflib import unified_diff
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

BUDGETS = ("100passes", "300passes", "50steps", "3s", "1e12flops")
VERDICTS = ("identical", "changed as intended", "different")

KEYS, OWN_KEYS = "keys of the records", "keys of the checkout's own records"

Outputs = Mapping[str, tuple[str, str]]
"""(format, text) by the command that prints it."""


# What runs in a process of its own, with one checkout on its path.


def produce(suite: str, checkout: Path, out: Path) -> None:
    """Write what all commands print about one suite; the working folder has results/reference."""
    import msbench

    assert checkout in Path(msbench.__file__).parents, msbench.__file__
    outputs = {" ".join(command): output for command, output in _outputs(suite)}
    for name, reference in ((KEYS, Path()), (OWN_KEYS, checkout)):
        outputs[name] = "keys", "\n".join(_keys(reference / "results/reference" / suite))
    out.write_text(json.dumps(outputs))


def _outputs(suite: str) -> Iterator[tuple[Sequence[str], tuple[str, str]]]:
    formats = _choices("compare", "style")
    for style in formats:
        for by in _choices("compare", "by"):
            yield _call(style, "compare", suite, "--by", by, "--format", style)
        yield _call(style, "claims", suite, "--format", style)
        for budget in BUDGETS:
            yield _call(style, "recommend", suite, "--budget", budget, "--format", style)
    yield _call("text", "claims", suite, "--short")
    yield _call("text", "compare", suite, "--target", "1.0", "--margin", "0.1")
    for by in ("optimizer", "decoder"):
        yield _call("html", "report", suite, "--by", by, "-o", "report.html")
    for kind in _choices("plot", "kind"):
        for along in _choices("plot", "along") if kind == "curves" else [""]:
            option = ["--along", along] if along else []
            yield _call("svg", "plot", suite, "--kind", kind, *option, "-o", "plot.svg")
    for folder in ("results/reference", "nothing"):
        yield _call("keys", "run", suite, "--dry-run", "--out", folder)


def _choices(command: str, option: str) -> list[str]:
    """What an option can be, in the checkout at hand."""
    import click

    from msbench.cli import main

    parameters = main.get_command(click.Context(main), command).params
    return list(next(each for each in parameters if each.name == option).type.choices)


def _call(style: str, *arguments: str) -> tuple[Sequence[str], tuple[str, str]]:
    """(arguments, (format, everything that the command prints and writes))."""
    from click.testing import CliRunner

    from msbench.cli import main

    sys.argv = ["msbench", *arguments]  # a report says how it was made
    result = CliRunner().invoke(main, arguments)
    text = result.stdout
    if result.exit_code:
        unexpected = result.exception and not isinstance(result.exception, SystemExit)
        text += f"\nexit code {result.exit_code}: {repr(result.exception) if unexpected else ''}"
        style = "message"
    text += result.stderr
    written = Path(arguments[-1])
    if "-o" in arguments and written.exists():
        text += written.read_text()
        written.unlink()
    return arguments, (style, text)


def _keys(folder: Path) -> Iterator[str]:
    """A line per record: its key, and the one that its job has now."""
    import msbench

    for record in msbench.read(folder).records if folder.is_dir() else ():
        kind = msbench.Trial if record.is_trial else msbench.Measurement
        yield f"{record.key} {kind.of(record.job).key}"


# What compares.


def run_in(checkout: Path, records: Path, suites: Sequence[str], jobs: int) -> dict[str, Outputs]:
    """The outputs of every suite, each made by a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}

    def outputs_of(suite: str) -> Outputs:
        with TemporaryDirectory() as folder:
            (Path(folder) / "results").mkdir()
            (Path(folder) / "results/reference").symlink_to(records)
            out = Path(folder) / "outputs.json"
            command = [sys.executable, __file__, "--produce", suite, str(checkout), str(out)]
            subprocess.run(command, check=True, cwd=folder, env=environment)
            outputs: Outputs = json.loads(out.read_text())
            return outputs

    with ThreadPoolExecutor(jobs) as pool:
        return dict(zip(suites, pool.map(outputs_of, suites), strict=True))


def judge(old: Outputs, new: Outputs) -> Iterator[tuple[str, str, str]]:
    """(command, one of VERDICTS, what differs) of every output of one suite."""
    from intended_changes import as_intended, as_made, renamed_command

    old = {renamed_command(command): output for command, output in old.items()}
    for command in sorted({*old, *new} - {OWN_KEYS}):
        before, after = old.get(command), new.get(command)
        if before == after:
            yield command, "identical", ""
        elif before is None or after is None:
            yield command, "different", f"only in {'NEW' if before is None else 'OLD'}"
        else:
            expected, made = as_intended(*before), as_made(*after)
            same = expected == made
            difference = unified_diff(expected.splitlines(), made.splitlines(), "OLD", "NEW", n=0)
            yield command, VERDICTS[1 if same else 2], "\n".join(islice(difference, 8))


def wrong_keys(outputs: Mapping[str, Outputs], name: str) -> list[str]:
    """A line for every record whose key is not that of its job; says how many there are."""
    lines = [line for each in outputs.values() for line in each[name][1].splitlines()]
    wrong = [line for line in lines if len(set(line.split())) > 1]
    print(f"{name}: {len(lines)} were read, {len(lines) - len(wrong)} are those of their jobs")
    return wrong


def main(asked: argparse.Namespace) -> int:
    """Print the tables, and whether anything differs that should not."""
    from intended_changes import CHANGES
    from tabulate import tabulate

    old, new = asked.checkouts
    records = (asked.records or old / "results/reference").resolve()
    suites = asked.suites or sorted(path.parent.name for path in records.glob("*/trials.jsonl"))
    before, after = (run_in(each.resolve(), records, suites, asked.jobs) for each in (old, new))
    rows, differences = [], []
    for suite in suites:
        judged = list(judge(before[suite], after[suite]))
        counts = Counter(verdict for _, verdict, _ in judged)
        rows.append([suite, len(judged), *(counts[verdict] for verdict in VERDICTS)])
        differences += [
            f"{command}\n{what}" for command, verdict, what in judged if verdict == VERDICTS[2]
        ]
    rows.append(["all", *(sum(row[i] for row in rows) for i in range(1, 5))])
    print(tabulate(rows, ["suite", "outputs", *VERDICTS]))
    print("\nintended changes:", *(f"- {change.reason}" for change in CHANGES), sep="\n")
    print()
    wrong = wrong_keys(after, KEYS) + wrong_keys(after, OWN_KEYS)
    if asked.show:
        print("", *differences, sep="\n\n")
    return 1 if differences or wrong else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--produce"]:
        produce(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
    else:
        parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
        parser.add_argument("checkouts", nargs=2, type=Path, metavar="CHECKOUT")
        parser.add_argument("--suites", nargs="+", metavar="NAME")
        parser.add_argument("--records", type=Path, metavar="FOLDER")
        parser.add_argument("--jobs", type=int, default=os.cpu_count())
        parser.add_argument("--show", action="store_true", help="print what differs")
        sys.exit(main(parser.parse_args()))
