"""The command line: parse, call, print. Only here do both ends of the flow meet."""

import math
import os
import re
import shlex
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

import msbench
from msbench.errors import MsbenchError, PluginError, StoreError, printable
from msbench.spec import FORMATS, KINDS, Choice, Job, Kind, Measurement, Part, Record, Suite, Trial

if TYPE_CHECKING:
    from msbench.pairs import Declared
    from msbench.plugins import Entry, Registry
    from msbench.spec import Comparison
    from msbench.targets import Target

AnyJob = TypeVar("AnyJob", bound=Job)
Command = TypeVar("Command", bound=Callable[..., Any])

NOT_OK, INTERRUPTED = 3, 130

WRAPPED = "adamw"
"""The base over which wrappers are measured."""

plugin_option = click.option(
    "--plugin",
    "plugins",
    multiple=True,
    metavar="FILE",
    help="Load a plugin file that is not installed (may be given more than once).",
)


comparing_options = (
    click.option(
        "--by",
        type=click.Choice(["optimizer", "loss", "decoder", "model", "schedule"]),
        default="optimizer",
        show_default=True,
        help="What is compared: strategies that are equal but for it.",
    ),
    click.option("--baseline", default="", metavar="NAME", help="The one to compare with."),
    click.option("--metric", default="", metavar="NAME", help="Shown instead of each task's own."),
    click.option(
        "--target",
        default="auto",
        metavar="VALUE|auto|SUITE",
        show_default=True,
        help="Validation loss to reach: a number, the median of the baseline's best, or a suite's.",
    ),
    click.option(
        "--margin",
        type=float,
        metavar="SIZE",
        help="Differences within it are equivalent, in the metric's unit.  [default: 0.01 of "
        "shares, 1 of 100, 1 % of losses]",
    ),
)


def comparing(command: Command) -> Command:
    """The options that say what is compared with what."""
    for option in reversed(comparing_options):
        command = option(command)
    return command


class Commands(click.Group):
    """Our commands and those of plugins; errors become one message and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Our own in the order they are used in, then the plugins'."""
        return [*self.commands, *(e.name for e in _registry().of("command"))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Ours first; a plugin's is only imported when it is called."""
        if cmd_name in self.commands:
            return self.commands[cmd_name]
        entry = _registry().entries.get(("command", cmd_name))
        command: Any = None if entry is None else entry.load()
        if entry is not None and not isinstance(command, click.Command):
            raise PluginError(f"command {cmd_name!r} of plugin {entry.plugin} is no click command")
        return command  # type: ignore[no-any-return]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Name and one line each, without importing any plugin's command."""
        own = [(name, each.get_short_help_str(80)) for name, each in self.commands.items()]
        others = [(e.name, e.idea) for e in _registry().of("command")]
        for name, _ in others:
            if name in self.commands:
                plugin = _registry().find("command", name).plugin
                raise PluginError(
                    f"plugin {plugin} claims the command {name!r}, which is msbench's"
                )
        with formatter.section("Commands"):
            formatter.write_dl([*own, *others])

    def main(self, *args: Any, **extra: Any) -> Any:
        """Say what went wrong in one message, wherever it did, the list of commands included."""
        try:
            return super().main(*args, **extra)
        except MsbenchError as error:
            click.echo(
                "\n".join(f"msbench: {printable(s)}" for s in str(error).split("\n")), err=True
            )
            sys.exit(error.exit_code)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; Ctrl-C is no error of anybody's."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("msbench: interrupted", err=True)
            ctx.exit(INTERRUPTED)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(msbench.__version__, prog_name="msbench")
def main() -> None:
    """Learn which training and prediction strategy pays for your task and budget."""


@main.command()
@click.argument("suite")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("results"),
    metavar="DIR",
    help="Where records go: DIR/SUITE/.  [default: results]",
)
@click.option(
    "--workers", type=click.IntRange(min=1), help="Trials at once.  [default: one a core]"
)
@click.option("--seeds", type=click.IntRange(min=1), help="Use the seeds 0 to N-1.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), help="Instead of the suite's.")
@plugin_option
@click.option("--dry-run", is_flag=True, help="Say what would be run, and run nothing.")
@click.option("--retry", is_flag=True, help="Also do trials again that did not end ok.")
def run(
    suite: str,
    out: Path,
    workers: int | None,
    seeds: int | None,
    device: str | None,
    plugins: tuple[str, ...],
    dry_run: bool,
    retry: bool,
) -> None:
    """Run a SUITE (a name or a path) and print its tables.

    What is already done is not done again: an interrupted run goes on where it was.
    """
    from msbench.device import limit_threads
    from msbench.plan import expected, measurements, with_overrides
    from msbench.store import prepare_folder
    from msbench.suite import load_suite

    limit_threads(1)
    # Until workers run there is nothing to save, and an exception would tear imports apart.
    signal.signal(signal.SIGINT, _quit)
    registry = _loaded(plugins)
    chosen = with_overrides(load_suite(suite), seeds=seeds, device=device, workers=workers)
    fingerprint = cache_by_part(partial(_fingerprint, registry, fetching=not dry_run))
    folder = out / chosen.name
    kept = [record for record in _existing(folder) if record.status == "ok" or not retry]
    every = expected(chosen, registry, kept, fingerprint)
    trials, speeds = _missing(every, kept), _missing(measurements(chosen, every), kept)
    if dry_run:
        _print_plan(chosen, trials, len(every), len(speeds))
        return
    if trials or speeds:
        prepare_folder(folder)
        click.echo(f"{len(every) - len(trials)} of {len(every)} trials are done already", err=True)
    else:
        click.echo(f"all {len(every)} trials are done already: {folder}", err=True)
    do = partial(_run, registry, chosen, folder)
    tried: set[str] = set()
    # A search decides which trials are next, so the plan is made again until nothing is left to do.
    while trials and not {trial.key for trial in trials} <= tried:
        do([trial for trial in trials if trial.is_search], chosen.launcher, "tuning")
        do([trial for trial in trials if not trial.is_search], chosen.launcher, "trials")
        tried |= {trial.key for trial in trials}
        kept = [
            record
            for record in _existing(folder, quiet=True)
            if record.status == "ok" or not retry or record.key in tried
        ]
        every = expected(chosen, registry, kept, fingerprint)
        trials = _missing(every, kept)
    speeds = _missing(measurements(chosen, every), kept)
    do(speeds, Choice("processes", {"workers": 1}), "throughput")
    keys = {trial.key for trial in every} | {job.key for job in measurements(chosen, every)}
    finished = [record for record in _existing(folder, quiet=True) if record.key in keys]
    missing = len(keys) - len(finished)
    if missing:
        _leave(NOT_OK, f"{missing} of {len(keys)} left no record: the launcher lost them")
    _print_tables(finished, baseline=_baseline(chosen), target=chosen.targets or None)
    if without := _without_weights(chosen, folder, finished):
        click.echo(f"msbench: {without}", err=True)
    bad = [record for record in finished if record.status != "ok" and not record.is_search]
    if bad:
        _leave(NOT_OK, f"{len(bad)} of {len(finished)} did not end ok (msbench run --retry)")


@main.command()
@click.argument("results")
@click.option(
    "--decoder",
    "decoders",
    multiple=True,
    required=True,
    metavar="NAME[: OPTIONS]",
    help="What to decode with, such as 'beam: width = [4, 8]', with options as in a suite (may be "
    "given more than once).",
)
@click.option("--task", "tasks", multiple=True, metavar="NAME", help="Only trials of this task.")
@click.option("--optimizer", "optimizers", multiple=True, metavar="NAME", help="Only of this one.")
@click.option("--seed", "seeds", multiple=True, type=int, metavar="N", help="Only of this seed.")
@click.option(
    "--limit",
    type=click.FloatRange(min=0, min_open=True),
    default=Suite.limit,
    show_default=True,
    help="Seconds that decoding one trial may take.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=0),
    default=0,
    help="Trials at once.  [default: one a core]",
)
@plugin_option
def decode(
    results: str,
    decoders: tuple[str, ...],
    tasks: tuple[str, ...],
    optimizers: tuple[str, ...],
    seeds: tuple[int, ...],
    limit: float,
    workers: int,
    plugins: tuple[str, ...],
) -> None:
    """Decode again from kept weights, without training.

    RESULTS: a folder, the name of a suite or the first digits of a trial's key. What comes out is
    printed and added to the records, so that `msbench compare` shows it beside the rest.
    """
    from msbench.device import limit_threads
    from msbench.redecoding import chosen, completed, redecoding, rows
    from msbench.runner import run_again
    from msbench.store import append, prepare_folder, read
    from msbench.suite import choice_of
    from msbench.weights import FOLDER

    limit_threads(1)
    signal.signal(signal.SIGINT, _quit)
    choices = [choice_of(text, f"--decoder {text!r}") for text in decoders]
    registry = _loaded(plugins)
    source, key = _decodable(results)
    folder = source if source.is_dir() else source.parent
    stored = read(source)
    for problem in stored.problems:
        click.echo(f"msbench: {printable(problem)}", err=True)
    records = chosen(stored.records, key=key, seeds=seeds, tasks=tasks, optimizers=optimizers)
    fingerprint = cache_by_part(partial(_fingerprint, registry, fetching=True))
    again = redecoding(records, choices, folder / FOLDER, registry, fingerprint)
    if again.skipped:
        said = f"{again.skipped} of {len(records)} trials have no kept weights, or no such decoder"
        click.echo(f"msbench: {said}", err=True)
    prepare_folder(folder)
    made: list[Record] = []

    def keep(record: Record) -> None:
        # What went wrong in decoding must not stand for the trial, whose training went well.
        if record.status == "ok":
            made.append(completed(record, again.originals[record.key]))
            append(folder, made[-1])

    trials = list(again.trials.values())
    _do(
        registry,
        trials,
        Choice("processes", {"workers": workers}),
        "decoding",
        run=partial(run_again, weights=again.weights, files=tuple(registry.files)),
        keep=keep,
        limit=limit,
        preload=_modules(registry, _entries(registry, trials)),
    )
    _print_decoded(rows(made, again.names))
    if len(made) < len(trials):
        _leave(NOT_OK, f"{len(trials) - len(made)} of {len(trials)} could not be decoded")


@main.command()
@click.argument("results")
@comparing
@click.option("--format", "style", type=click.Choice(FORMATS), default="text", show_default=True)
def compare(results: str, style: str, **asked: Any) -> None:
    """Print the tables of RESULTS: a folder, a file or the name of a suite."""
    from msbench.render import render

    comparison, _ = _compared(results, asked)
    # Written as it is: `echo` would take escape sequences out of names.
    sys.stdout.write(render(comparison, style) + "\n")


@main.command()
@click.argument("results")
@click.option("--strategy", default="", metavar="NAME", help="Judge this one alone.")
@click.option("--metric", default="", metavar="NAME", help="Instead of each task's own.")
@click.option("--short", is_flag=True, help="Only the summaries.")
@click.option("--format", "style", type=click.Choice(FORMATS), default="text", show_default=True)
@plugin_option
def claims(
    results: str, strategy: str, metric: str, short: bool, style: str, plugins: tuple[str, ...]
) -> None:
    """Test what is said of multi-step strategies on RESULTS: a folder, a file or a suite's name.

    That they raise accuracy, improve generalization, reduce overfitting and lower compute, each
    against its single-step base at equal passes, steps and seconds.
    """
    from msbench.claim_tables import claim_legend, claim_tables
    from msbench.claims import claims as claims_of
    from msbench.render import rendered

    declared = _declared(_loaded(plugins))
    with _streamed(results, []) as records:
        found = claims_of(records, declared, strategy=strategy, metric=metric)
    tables, lines = claim_tables(found, short=short), claim_legend(found)
    sys.stdout.write(rendered(found, found.rows, tables, lines, style) + "\n")


@main.command()
@click.argument("results")
@click.option(
    "--budget",
    "allowed",
    required=True,
    metavar="AMOUNT",
    help="What training may take: 500passes, 200steps, 60s or 1e12flops.",
)
@click.option("--task", default="", metavar="NAME", help="This task alone.")
@click.option("--metric", default="", metavar="NAME", help="Instead of each task's own.")
@click.option("--format", "style", type=click.Choice(FORMATS), default="text", show_default=True)
def recommend(results: str, allowed: str, task: str, metric: str, style: str) -> None:
    """Say which strategy to use at a budget, by RESULTS: a folder, a file or a suite's name.

    With the runner-up, the worst seed, whether the two are shown to differ, and what to try next.
    """
    from msbench.advice import advice_lines, advice_tables
    from msbench.recommend import budget
    from msbench.recommend import recommend as recommended
    from msbench.render import rendered

    unit, amount = budget(allowed)
    with _streamed(results, []) as records:
        found = recommended(records, unit, amount, task=task, metric=metric)
    text = rendered(found, found.rows, advice_tables(found), advice_lines(found), style)
    sys.stdout.write(text + "\n")


@main.command()
@click.argument("results")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    default=Path("report.html"),
    metavar="FILE.html",
    show_default=True,
    help="Where the page goes.",
)
@comparing
def report(results: str, out: Path, **asked: Any) -> None:
    """Write one page about RESULTS: verdicts, tables, pictures, failures, provenance."""
    from msbench.report import report as page

    comparison, problems = _compared(results, asked)
    command = shlex.join(["msbench", *sys.argv[1:]])
    text = page(
        comparison,
        title=Path(results).stem,
        command=command,
        problems=problems,
        licences=_licences(comparison),
    )
    _write(out, text.encode())


@main.command()
@click.argument("results")
@click.option(
    "--kind",
    type=click.Choice(["curves", "pareto", "profile", "cd", "ladder", "tuning"]),
    required=True,
    help="What is drawn.",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE.svg|png",
    help="Where the picture goes; how it ends says what it is.",
)
@click.option("--task", "tasks", multiple=True, metavar="NAME", help="Only these tasks.")
@click.option(
    "--along",
    type=click.Choice(["steps", "passes", "seconds"]),
    help="What learning curves are drawn against.  [default: passes]",
)
@click.option("--theme", type=click.Choice(["light", "dark"]), default="light", show_default=True)
@comparing
def plot(
    results: str,
    kind: str,
    out: Path,
    tasks: tuple[str, ...],
    along: str | None,
    theme: str,
    **asked: Any,
) -> None:
    """Draw one picture of RESULTS, and print what it shows in words."""
    from msbench.canvas import png, svg
    from msbench.figures import picture

    write = {".svg": lambda made: svg(made, theme).encode(), ".png": lambda made: png(made, theme)}
    if out.suffix not in write:
        raise MsbenchError(f"{out}: a picture ends in .svg or .png")
    if along and kind != "curves":
        raise MsbenchError(f"--along is for learning curves (--kind curves), not for {kind}")
    comparison, _ = _compared(results, asked)
    made = picture(comparison, kind, tasks, along or "passes")
    _write(out, write[out.suffix](made))
    click.echo(printable(made.alt))


@main.command("list")
@click.argument("kind", required=False)
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text")
@plugin_option
def list_parts(kind: str | None, style: str, plugins: tuple[str, ...]) -> None:
    """List what there is: all, or one KIND (task, model, loss, optimizer, schedule, decoder,
    learner, launcher, command, suite)."""
    rows = _list_rows(_loaded(plugins), kind)
    if style == "json":
        import json

        click.echo(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    from tabulate import tabulate

    shown = ("kind", "name", "plugin", "idea")
    cells = [[printable(row[column]) for column in shown] for row in rows]
    headers = ["kind", "name", "plugin", "idea"]
    click.echo(tabulate(cells, headers, tablefmt="simple", disable_numparse=True))


@main.command()
@click.argument("part", metavar="KIND:NAME")
@plugin_option
def info(part: str, plugins: tuple[str, ...]) -> None:
    """Explain one part: idea, source, when it helps, what it costs, options, data and licence."""
    from msbench.plugins import kind_of

    kind, colon, name = part.partition(":")
    if not colon or not name:
        raise MsbenchError(f"{part!r} is not KIND:NAME, such as optimizer:adamw")
    registry = _loaded(plugins)
    for line in _info_lines(registry, registry.find(kind_of(kind), name)):
        click.echo(printable(line))


def _missing(jobs: Sequence[AnyJob], records: Sequence[Record]) -> list[AnyJob]:
    """The jobs that have no record."""
    done = {record.key for record in records}
    return [job for job in jobs if job.key not in done]


def _run(
    registry: "Registry",
    suite: Suite,
    folder: Path,
    jobs: Sequence[Job],
    launcher: Choice,
    title: str,
) -> None:
    """Launch jobs of a suite."""
    from msbench.runner import run as run_job
    from msbench.store import append
    from msbench.weights import FOLDER

    choices = [(kind, each) for kind, several in suite.choices().items() for each in several]
    weights = folder / FOLDER if suite.keep_weights else None
    _do(
        registry,
        jobs,
        launcher,
        title,
        run=partial(run_job, files=tuple(registry.files), weights=weights),
        keep=partial(append, folder),
        limit=suite.limit * max(map(_strategies, jobs), default=1),
        preload=_modules(registry, [registry.find(kind, each.name) for kind, each in choices]),
    )


def _do(
    registry: "Registry",
    jobs: Sequence[Job],
    launcher: Choice,
    title: str,
    *,
    run: Callable[[Job], Record],
    keep: Callable[[Record], None],
    limit: float,
    preload: Sequence[str],
) -> None:
    """Launch jobs and keep every record before the next one is awaited."""
    from msbench.progress import show_progress

    if not jobs:
        return
    launch = registry.build("launcher", registry.resolve("launcher", launcher))()
    with _ended_by_signals(), show_progress(title, len(jobs)) as progress:
        records = launch(jobs, run, limit=limit, preload=preload, started=progress.started)
        try:
            for record in records:
                keep(record)
                progress.finished(record)
        finally:
            getattr(records, "close", lambda: None)()  # any iterator will do


def _strategies(job: Job) -> int:
    """How many strategies a job trains: a measurement has all of them in one process."""
    return len(job.strategies) if isinstance(job, Measurement) else 1


def _modules(registry: "Registry", entries: Sequence["Entry"]) -> list[str]:
    """The modules that parts and their learners live in and that a server can import by name."""
    from importlib.util import find_spec

    learners = {entry.learner for entry in entries}
    entries = [*entries, *(registry.find("learner", name) for name in learners)]
    modules = {m for e in entries if (m := e.module()) in sys.modules and find_spec(m)}
    return sorted(modules | {module for e in entries for module in e.preload})


def _entries(registry: "Registry", trials: Sequence[Trial]) -> list["Entry"]:
    """Where the tasks, models and decoders of trials come from."""
    names: set[tuple[Kind, str]] = set()
    for trial in trials:
        names |= {("task", trial.task.name), ("model", trial.model.name)}
        names |= {("decoder", part.name) for part in trial.decoders}
    return [registry.find(kind, name) for kind, name in sorted(names)]


def _decodable(results: str) -> tuple[Path, str]:
    """The records to decode from, and the key of the only one if that was asked for."""
    from msbench.errors import RecordsError
    from msbench.store import find_results
    from msbench.weights import find_weights

    try:
        return find_results(results), ""
    except RecordsError:
        if not re.fullmatch("[0-9a-f]{4,20}", results):
            raise
    file = find_weights(results, Path("results"))
    return file.parent.parent, file.stem


def _without_weights(suite: Suite, folder: Path, records: Sequence[Record]) -> str:
    """Empty, or how many trials of a suite that keeps weights have left none."""
    from msbench.weights import FOLDER, weights_file

    trained = [r for r in records if r.is_trial and not r.is_search and r.status == "ok"]
    lacking = [r for r in trained if not weights_file(folder / FOLDER, r.key).is_file()]
    if not suite.keep_weights or not lacking:
        return ""
    return (
        f"{len(lacking)} of {len(trained)} trials have no kept weights: done before they were "
        f"asked for, or not to be written; another folder (--out) does them again"
    )


def _print_decoded(rows: Sequence[Mapping[str, Any]]) -> None:
    from tabulate import tabulate

    def number(value: Any) -> str:
        return "" if value is None or math.isnan(value) else f"{value:,.4g}"

    shown = [
        {
            "trial": row["trial"][:8],
            **{
                name: printable(str(row[name])) for name in ("task", "optimizer", "seed", "decoder")
            },
            "metrics": ", ".join(f"{name} {number(x)}" for name, x in row["metrics"].items()),
            "steps": f"{row['model_steps']:,}",
            "tokens/s": f"{row['tokens_per_second']:,.0f}",
            "length ratio": number(row["length_ratio"]),
            "log-probability": number(row["log_probability"]),
            "empty": number(row["empty"]),
        }
        for row in rows
    ]
    if shown:
        click.echo(tabulate(shown, "keys", tablefmt="simple", disable_numparse=True))


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM and Ctrl-C: workers are ended, records are kept."""

    def interrupt(*_: Any) -> NoReturn:
        raise KeyboardInterrupt

    before = {each: signal.signal(each, interrupt) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _quit(*_: Any) -> NoReturn:
    os.write(2, b"msbench: interrupted\n")
    os._exit(INTERRUPTED)


def _fingerprint(registry: "Registry", part: Part, *, fetching: bool) -> str:
    """The fingerprint of a task's data, fetched first if need be; "" if it is not here."""
    from msbench.progress import fetch_with_bar

    for source in registry.sources(part):
        if msbench.check(source) == "missing":
            if not fetching:
                return ""
            fetch_with_bar(source)
    try:
        task = registry.build("task", part)()
    except MsbenchError:
        raise
    except Exception as error:
        raise PluginError(
            f"task {part.name!r} of plugin {part.plugin} cannot be prepared: "
            f"{type(error).__name__}: {error}"
        ) from error
    found: str = task.fingerprint()
    return found


def cache_by_part(function: Callable[[Part], str]) -> Callable[[Part], str]:
    """`function`, asked once per part."""
    known: dict[str, str] = {}

    def ask(part: Part) -> str:
        if repr(part) not in known:
            known[repr(part)] = function(part)
        return known[repr(part)]

    return ask


def _existing(folder: Path, *, quiet: bool = False) -> tuple[Record, ...]:
    from msbench.store import read

    if not any(folder.glob("*.jsonl")):
        return ()
    stored = read(folder, strict=False)
    _print_problems(() if quiet else stored.problems)
    return stored.records


def _print_plan(suite: Suite, trials: Sequence[Trial], total: int, speeds: int) -> None:
    for trial in trials:
        parts = (trial.task, trial.model, trial.loss, trial.optimizer, trial.schedule)
        names = " ".join(part.label or part.name for part in parts)
        click.echo(printable(f"{trial.key}  {names}  seed {trial.seed}"))
    missing = sorted({trial.task.name for trial in trials if not trial.data})
    said = f"{suite.name}: {len(trials)} of {total} trials to do, {speeds} throughput measurements"
    if any(trial.is_search for trial in trials):
        said += "; then the winners' trials and their throughput"
    click.echo(said)
    if missing:
        click.echo(f"data not fetched yet, so nothing counts as done: {', '.join(missing)}")


def _compared(results: str, asked: dict[str, Any]) -> "tuple[Comparison, list[str]]":
    """(the comparison, a sentence for every line that was skipped)."""
    from msbench.compare import compare as compare_records

    problems: list[str] = []
    target = _target(asked.pop("target"))
    with _streamed(results, problems) as records:
        return compare_records(records, target=target, **asked), problems


def _licences(comparison: "Comparison") -> dict[str, list[str]]:
    """Licences of the data of every task whose plugin is installed here."""
    tasks = {row["name"] for row in comparison.parts if row["kind"] == "task"}
    return {
        entry.name: [f"{source.package} {source.version}: {source.licence}" for source in sources]
        for entry in _registry().of("task")
        if entry.name in tasks and (sources := entry.sources)
    }


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}") from error


def _print_tables(records: Iterable[Record], **asked: Any) -> None:
    from msbench.compare import compare as compare_records
    from msbench.render import render

    # Written as it is: `echo` would take escape sequences out of names.
    sys.stdout.write(render(compare_records(records, **asked)) + "\n")


@contextmanager
def _streamed(results: str, problems: list[str]) -> Iterator[Iterator[Record]]:
    """The records of a folder, a file or a suite's name as they are read; then what was skipped is
    printed, and is in `problems`."""
    from msbench.store import find_results, stream

    try:
        yield stream(find_results(results), problems)
    finally:
        _print_problems(problems)


def _declared(registry: "Registry") -> "Declared":
    """What plugins say of how strategies are multi-step, as plain data."""
    return {key: (entry.steps, entry.base) for key, entry in registry.entries.items()}


def _print_problems(problems: Sequence[str]) -> None:
    """The first ten lines that were skipped, and how many more there are."""
    for problem in problems[:10]:
        click.echo(f"msbench: {printable(problem)}", err=True)
    if len(problems) > 10:
        click.echo(f"msbench: and {len(problems) - 10} more lines were skipped", err=True)


def _target(text: str) -> "Target":
    """What `--target` says: none is automatic."""
    if text == "auto":
        return None
    try:
        value = float(text)
    except ValueError:
        from msbench.suite import load_suite

        targets = load_suite(text).targets
        if not targets:
            raise MsbenchError(f"suite {text!r} has no [target]") from None
        return targets
    if not math.isfinite(value):
        raise MsbenchError(f"a target is a finite validation loss, not {text}")
    return value


def _baseline(suite: Suite) -> str:
    first = suite.optimizers[0]
    return suite.baseline or first.label or first.name


def _leave(code: int, message: str) -> NoReturn:
    click.echo(f"msbench: {message}", err=True)
    click.get_current_context().exit(code)


@cache
def _registry() -> "Registry":
    """What is installed, for the commands of plugins."""
    from msbench.plugins import load_plugins

    return load_plugins()


def _loaded(plugins: Sequence[str]) -> "Registry":
    """What is installed and the given files, with a line for every plugin set aside."""
    from msbench.plugins import load_plugins

    registry = load_plugins(dict.fromkeys(plugins)) if plugins else _registry()
    for name, reason in registry.broken.items():
        click.echo(f"msbench: {printable(f'plugin {name} is not loaded: {reason}')}", err=True)
    return registry


def _list_rows(registry: "Registry", kind: str | None) -> list[dict[str, Any]]:
    from msbench.plugins import kind_of

    wanted = KINDS if kind is None else () if kind in ("suite", "suites") else (kind_of(kind),)
    rows = [
        {
            "kind": entry.kind,
            "name": entry.name,
            "plugin": entry.plugin,
            "version": entry.version,
            "idea": entry.idea,
            "steps": entry.steps,
            "passes": entry.passes,
            "fits": list(entry.fits),
        }
        for each in wanted
        for entry in registry.of(each)
    ]
    if kind is None or kind in ("suite", "suites"):
        rows += _suite_rows()
    return rows


def _suite_rows() -> list[dict[str, Any]]:
    import tomllib

    from msbench.suite import shipped_suites

    return [
        {
            "kind": "suite",
            "name": name,
            "plugin": "msbench",
            "version": msbench.__version__,
            "idea": tomllib.loads(path.read_text(encoding="utf-8")).get("description", ""),
            "steps": "",
            "passes": 1,
            "fits": [],
        }
        for name, path in shipped_suites().items()
    ]


def _info_lines(registry: "Registry", entry: "Entry") -> Iterator[str]:
    import inspect

    facts = {
        "plugin": f"{entry.plugin} {entry.version}",
        "idea": entry.idea,
        "paper": entry.paper,
        "helps": entry.helps,
        "multi-step": entry.steps and f"by {entry.steps}",
        "base": _base_of(entry),
        "passes a step": f"{entry.passes:g}" if entry.kind == "optimizer" else "",
        "state": _state(registry, entry) if entry.kind == "optimizer" else "",
        "fits": ", ".join(entry.fits),
    }
    yield f"{entry.kind} {entry.name}"
    yield from (f"  {name}: {value}" for name, value in facts.items() if value)
    for source in entry.sources:
        yield f"  data: {source.package} {source.version}: {source.origin}"
        yield f"  licence: {source.licence}"
    if entry.kind == "command":
        return
    if doc := inspect.getdoc(entry.load()):
        yield ""
        yield from (f"  {line}".rstrip() for line in doc.splitlines())
    yield ""
    yield "  options:"
    for name, parameter in entry.options().items():
        required = parameter.default is inspect.Parameter.empty
        space = (entry.space or {}).get(name)
        told = "required" if required else f"default {parameter.default!r}"
        yield f"    {name}: {told}" + (f", searched over {tuple(space)}" if space else "")
    if entry.kind == "optimizer" and "base" in entry.options():
        yield "  With [tuning], what its base's space names is searched, too."


def _base_of(entry: "Entry") -> str:
    if not entry.steps:
        return ""
    return "the optimizer that it wraps" if "base" in _names(entry) else entry.base


def _names(entry: "Entry") -> Iterable[str]:
    return entry.options() if entry.kind != "command" else ()


def _state(registry: "Registry", entry: "Entry") -> str:
    """What an optimizer keeps from step to step, measured; or why that cannot be."""
    measure = getattr(registry.find("learner", entry.learner).load(), "state_bytes", None)
    if measure is None:
        return f"not measured: the learner {entry.learner} cannot"
    wraps = "base" in _names(entry)
    inner = Choice(WRAPPED)
    options = {"base": inner} if wraps else {}
    try:
        part = registry.resolve("optimizer", Choice(entry.name, options))
        size = measure(registry.build("optimizer", part))
        own = measure(registry.build("optimizer", registry.resolve("optimizer", inner)))
    except Exception as error:  # a plugin's step may fail in any way
        return f"not measured: {type(error).__name__}: {error}"
    told = f"{size:.3g} bytes a weight of float32, measured on a small model"
    return f"{told} over {WRAPPED}, which alone keeps {own:.3g}" if wraps else told
