"""Options that several commands share."""

import math
import os
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from msbench.errors import MsbenchError, did_you_mean
from msbench.spec import COMPARED, FORMATS

if TYPE_CHECKING:
    from msbench.compare.targets import Target
    from msbench.plan.shards import Shard

REPEATED = ("by", "baseline", "metric", "margin", "tasks", "models", "optimizers", "seeds")
"""Options of a comparison without which another command would compare something else."""

Command = TypeVar("Command", bound=Callable[..., Any])


class Named(click.Choice[str]):
    """One of some names; a wrong one is told the nearest."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        """The nearest name, or all of them."""
        return f"there is no {value!r}{did_you_mean(str(value), self.choices)}"


class Share(click.ParamType[float]):
    """A share: `10%` or 0.1."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As a number between 0 and 10, both left out."""
        if isinstance(value, float):
            return value
        text = str(value).strip()
        try:
            share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            share = math.nan
        if not 0 < share < 10:
            self.fail(f"{value!r} is no share such as 10% or 0.1", param, ctx)
        return share


class Seconds(click.FloatRange):
    """A time that ends."""

    def __init__(self) -> None:
        super().__init__(min=0, min_open=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Neither infinite nor no number, which no limit is held to."""
        seconds = super().convert(value, param, ctx)
        if not math.isfinite(seconds):
            self.fail(f"{value!r} is no number of seconds", param, ctx)
        return seconds


class Place(click.Path):
    """A path to write to."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """What no system takes as a path is refused before anything is done."""
        if "\0" in str(value):
            self.fail("a path has no NUL in it", param, ctx)
        return super().convert(value, param, ctx)


class ShardName(click.ParamType["Shard"]):
    """Which of how many parts of a suite."""

    name = "N/M"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> "Shard":
        """`2/8`."""
        from msbench.plan.shards import Shard

        try:
            return Shard.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _named(names: Callable[[], Iterable[str]]) -> Callable[..., Any]:
    """What a shell completes: these names, or else files."""

    def complete(context: click.Context, option: click.Parameter, begun: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        found = [CompletionItem(name) for name in names() if name.startswith(begun)]
        return found or [CompletionItem(begun, type="file")]

    return complete


def _suites() -> Iterable[str]:
    from msbench.plan.shipped import shipped_suites

    return shipped_suites()


def _results() -> Iterable[str]:
    return sorted(path.parent.name for path in Path("results").glob("*/trials.jsonl"))


suite_argument = click.argument("suite", shell_complete=_named(_suites))
"""SUITE: the name of a shipped suite, or a path."""

results_argument = click.argument("results", shell_complete=_named(_results))
"""RESULTS: a folder or file of records, or the name of a suite that was run."""

several_results_argument = click.argument(
    "results", nargs=-1, required=True, metavar="RESULTS...", shell_complete=_named(_results)
)
"""RESULTS: the same, or several of them."""


def _without_plugins(context: click.Context, option: click.Parameter, wanted: bool) -> None:
    """Load msbench's own parts and files alone, in this process and those that it starts."""
    if wanted and not context.resilient_parsing:
        from msbench.plugins.loading import ALLOW_LIST

        before = os.environ.get(ALLOW_LIST)
        os.environ[ALLOW_LIST] = ""
        context.call_on_close(
            lambda: (
                os.environ.pop(ALLOW_LIST)
                if before is None
                else os.environ.update({ALLOW_LIST: before})
            )
        )


def plugin_option(command: Command) -> Command:
    """Which plugins the command loads."""
    command = click.option(
        "--no-plugins",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_without_plugins,
        help="Load no installed plugin.",
    )(command)
    return click.option(
        "--plugin",
        "plugins",
        multiple=True,
        metavar="FILE",
        help="Also load this plugin file (repeatable).",
    )(command)


format_option = click.option(
    "--format",
    "style",
    type=Named(FORMATS),
    metavar="FORMAT",
    default="text",
    show_default=True,
    help=f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}.",
)

wide_option = click.option(
    "--wide", is_flag=True, help="Tables as wide as they are, on a terminal, too."
)

device_option = click.option(
    "--device", type=Named(["cpu", "cuda"]), help="Instead of the suite's."
)

tasks_option = click.option(
    "--task", "tasks", multiple=True, metavar="NAME", help="Only this task (repeatable)."
)

models_option = click.option(
    "--model", "models", multiple=True, metavar="NAME", help="Only this model (repeatable)."
)

optimizers_option = click.option(
    "--optimizer",
    "optimizers",
    multiple=True,
    metavar="NAME",
    help="Only this optimizer (repeatable).",
)

seeds_option = click.option(
    "--seed", "seeds", multiple=True, type=int, metavar="N", help="Only this seed (repeatable)."
)

metric_option = click.option(
    "--metric", default="", metavar="NAME", help="Use this metric instead of the one that decides."
)

workers_option = click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Trials to run at once.  [default: one per core]",
)


def out_option(kept: str) -> Callable[[Command], Command]:
    """Where the command writes. kept: what it keeps there, as in "records in DIR/SUITE/"."""
    return click.option(
        "--out",
        type=Place(),
        default=Path("results"),
        metavar="DIR",
        show_default=True,
        help=f"Keep {kept}.",
    )


def comparison_options(command: Command) -> Command:
    """Options that say what is compared with what: the arguments of `msbench.compare.compare`."""
    for option in reversed(_COMPARISON):
        command = option(command)
    return command


def judging_options(command: Command) -> Command:
    """Those of them that say how scores are judged, and which are shown."""
    for option in reversed(_JUDGING):
        command = option(command)
    return command


def given(context: click.Context, names: Collection[str] = REPEATED) -> list[str]:
    """The named options that the command line has, in its words."""
    words = []
    for option in context.command.params:
        name = option.name or ""
        source = context.get_parameter_source(name)
        if name in names and source == click.core.ParameterSource.COMMANDLINE:
            value = context.params[name]
            values = value if isinstance(value, tuple) else (value,)
            words += [word for each in values for word in (option.opts[0], str(each))]
    return words


def _parse_target(context: click.Context, option: click.Parameter, text: str) -> "Target":
    """None if targets are chosen automatically, else one number or one per task."""
    if text == "auto":
        return None
    try:
        value = float(text)
    except ValueError:
        from msbench.plan.suite import load_suite

        targets = load_suite(text).targets
        if not targets:
            raise MsbenchError(f"suite {text!r} has no [target]") from None
        return targets
    if not math.isfinite(value):
        raise MsbenchError(f"a target is a finite validation loss, not {text}")
    return value


_by_option = click.option(
    "--by",
    type=Named(COMPARED),
    metavar="AXIS",
    help=f"What to compare, all else being equal: {', '.join(COMPARED[:-1])} or "
    f"{COMPARED[-1]}.  [default: what the suite asks, else what varies]",
)

_baseline_option = click.option(
    "--baseline", default="", metavar="NAME", help="Compare all others with this."
)

_target_option = click.option(
    "--target",
    default="auto",
    metavar="LOSS|SUITE|auto",
    show_default=True,
    callback=_parse_target,
    help="Validation loss that strategies are timed to: a number, a suite's [target], or the "
    "median of the baseline's best losses.",
)

_margin_option = click.option(
    "--margin",
    type=float,
    metavar="SIZE",
    help="The largest difference that does not matter, in units of the metric.  [default: the "
    "metric's own]",
)

_SHOWN = (tasks_option, models_option, optimizers_option)

_JUDGING = (_by_option, _baseline_option, _margin_option, *_SHOWN)

_COMPARISON = (
    *(_by_option, _baseline_option, metric_option, _target_option, _margin_option),
    *(*_SHOWN, seeds_option),
)
