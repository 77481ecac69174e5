"""Suite -> results, in one call: `msbench run` for notebooks and programs."""

import json
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, closing
from os import PathLike
from pathlib import Path
from typing import Any

from msbench.api.asking import asked_suite
from msbench.api.calling import as_a_program
from msbench.api.progress import Display
from msbench.api.results import Results
from msbench.api.sources import Run
from msbench.api.standings import Standings
from msbench.data.download import fetch
from msbench.errors import MsbenchError
from msbench.paths import inside
from msbench.plan.suite import load_suite
from msbench.plugins.loading import load_plugins
from msbench.run.driver import run_suite
from msbench.run.events import Done, Event, Planned


def benchmark(
    suite: str | PathLike[str] | Mapping[str, Any],
    *,
    out: str | PathLike[str] = "results",
    name: str = "suite",
    overrides: Mapping[str, Any] | None = None,
    tasks: Sequence[str] = (),
    models: Sequence[str] = (),
    optimizers: Sequence[str] = (),
    seeds: int | None = None,
    until_verdict: bool = False,
    max_seeds: int | None = None,
    workers: int | None = None,
    device: str | None = None,
    plugins: Sequence[str] = (),
    retry: bool = False,
    progress: bool = True,
) -> Results:
    """Run what of a suite has no record yet, and return what all its records say.

    suite: the name of a shipped one, a path, or its tables as a dictionary, which is then called
    `name`. Records are kept in `out`/NAME, so a run that was interrupted goes on when it is called
    again. overrides: `{"optimizer.adamw.lr": 3e-3, "training.passes": 500}`. tasks, models,
    optimizers: these alone. seeds: 0 to seeds - 1, or with until_verdict 3 and then more, up to
    max_seeds, where there is no verdict yet. workers: trials at once; by default one a core.
    plugins: files of plugins. retry: also run trials again that did not end ok. progress: lines on
    the error stream.

    All arguments mean what the options of `msbench run` mean. Trials run in processes of their own,
    which import nothing of the program that calls this. Raises MsbenchError (SuiteError lists all
    that is wrong with a suite). That trials fail raises nothing: `Results.failures` has them.
    """
    registry = load_plugins(dict.fromkeys(plugins))
    settings = [f"{key}={_toml(value)}" for key, value in (overrides or {}).items()]
    chosen = asked_suite(
        load_suite(suite, settings, name=name),
        registry,
        tasks=tasks,
        models=models,
        optimizers=optimizers,
        seeds=seeds,
        until_verdict=until_verdict,
        max_seeds=max_seeds,
        workers=workers,
        device=device,
    )
    folder = inside(Path(out), chosen.name)
    with as_a_program():
        done = _told(run_suite(chosen, registry, folder, retry=retry, fetch=fetch), progress)
    if done.lost:
        raise MsbenchError(f"{done.lost} trials left no record: the launcher lost them")
    return Results(Run(done.records, folder, chosen.targets or None), {})


def _told(events: Generator[Event, None, None], progress: bool) -> Done:
    """The end of a run, which was shown meanwhile."""
    event = planned = next(events)
    assert isinstance(planned, Planned)
    with closing(events), ExitStack() as bars:
        display = Display(bars, Standings(planned.expected))
        for line in (*planned.problems, *planned.notes) if progress else ():
            display.say(line)
        for event in events:
            if progress:
                display.show(event)
    assert isinstance(event, Done)
    return event


def _toml(value: Any) -> str:
    """A value as TOML writes it, whose numbers, texts and lists are those of JSON."""
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{json.dumps(k)} = {_toml(v)}' for k, v in value.items())} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value)
