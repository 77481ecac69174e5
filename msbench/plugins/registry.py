"""Everything that plugins registered: looking parts up, checking their options, building them."""

import importlib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from msbench.errors import PluginError, did_you_mean
from msbench.kinds import Kind
from msbench.plugins import hookspecs
from msbench.plugins.code import Code, code_of
from msbench.plugins.libraries import distributions_of
from msbench.plugins.state import Settings, quiet_import

if TYPE_CHECKING:
    from msbench.spec import Choice, Part

CONTEXT = {
    "model": ("task",),
    "loss": ("task",),
    "decoder": ("task",),
    "optimizer": ("model",),
    "observer": ("folder",),
    "learner": (
        "task",
        "model",
        "loss",
        "optimizer",
        "seed",
        "device",
        "threads",
        "dtype",
        "accumulate",
        "clip",
        "precision",
        "compile",
        "graph",
    ),
}
"""Parameters of a factory that msbench fills in, by kind; all others are options."""


RUNS_A_TRIAL = "msbench.run.trial"
"""What calls a learner; it counts as a part of every learner."""


@dataclass(frozen=True)
class Plugin:
    """Where parts come from: a distribution or a file."""

    name: str
    version: str
    module: Any
    package: str = ""
    """The module that it was loaded from, by its full name."""


@dataclass(frozen=True)
class Entry:
    """One registered part; see `hookspecs.Register` for the fields."""

    kind: Kind
    name: str
    factory: hookspecs.Factory
    plugin: str
    version: str
    idea: str = ""
    paper: str = ""
    steps: hookspecs.Steps = ""
    passes: float = 1
    base: str = ""
    helps: str = ""
    space: Mapping[str, Sequence[Any]] | None = None
    fits: Sequence[str] = ()
    learner: str = "torch"
    sources: Sequence[Any] = ()
    fixed: bool = False
    preload: Sequence[str] = ()
    streams: bool = False
    settings: Settings | None = None
    tokenizer: hookspecs.Factory = ""
    reads_targets: bool = False
    package: str = "msbench"
    """The module or package that its plugin is."""
    shared: Settings = field(default_factory=dict, repr=False, compare=False)
    """What the frameworks of all learners have for the whole process."""

    @cached_property
    def code(self) -> Code:
        """The code behind it; that of a learner includes what runs a trial."""
        factory = self.module().partition(".")[0]
        own = factory in ("msbench", self.package) or self.plugin in distributions_of(factory)
        modules = [self.module()] if own else []
        modules += [self.package] if self.package != "msbench" else []
        modules += [RUNS_A_TRIAL] if self.kind == "learner" else []
        return code_of(modules, others=[] if own else [factory])

    @property
    def full_version(self) -> str:
        """Its plugin's version and the digest of the code behind it: another one is another part,
        whose results are never mixed with this one's."""
        from msbench.spec import DIGEST  # late: msbench --help needs no spec

        return f"{self.version}{DIGEST}{self.code.digest}"

    def load(self, factory: hookspecs.Factory | None = None) -> Callable[..., Any]:
        """The factory itself, imported if it was given as "module:attribute".

        factory: another one that the part was registered with, such as its tokenizer's.
        """
        named = factory or self.factory
        if not isinstance(named, str):
            return named
        module, _, attribute = named.partition(":")
        try:
            if module not in sys.modules:
                with quiet_import(self.plugin, module, self.shared):
                    importlib.import_module(module)
            found: Callable[..., Any] = getattr(sys.modules[module], attribute)
        except (Exception, SystemExit) as error:  # importing runs a plugin's code
            raise PluginError(
                f"{self.kind} {self.name!r}: plugin {self.plugin} {self.version} gives the "
                f"factory {named!r}, which cannot be imported: {error}"
            ) from error
        return found

    def module(self) -> str:
        """The module its factory is defined in."""
        if isinstance(self.factory, str):
            return self.factory.partition(":")[0]
        return str(getattr(self.factory, "__module__", ""))

    def options(self) -> dict[str, inspect.Parameter]:
        """The factory's options: its parameters without those that msbench fills in."""
        try:
            parameters = inspect.signature(self.load(), eval_str=True).parameters
        except PluginError:
            raise
        except Exception as error:  # annotations are evaluated
            raise PluginError(
                f"{self.kind} {self.name!r} of plugin {self.plugin}: its factory's options cannot "
                f"be read: {error}"
            ) from error
        return {k: v for k, v in parameters.items() if k not in CONTEXT.get(self.kind, ())}


@dataclass(frozen=True)
class Registry:
    """All registered parts, and the plugins that could not be loaded, with the reason."""

    entries: Mapping[tuple[Kind, str], Entry]
    plugins: Sequence[Plugin]
    broken: Mapping[str, str] = field(default_factory=dict)
    files: Sequence[str] = ()

    def of(self, kind: Kind) -> list[Entry]:
        """The entries of one kind, by name."""
        return sorted((e for e in self.entries.values() if e.kind == kind), key=lambda e: e.name)

    def find(self, kind: Kind, name: str) -> Entry:
        """The entry of that name; PluginError with the nearest name otherwise."""
        if entry := self.entries.get((kind, name)):
            return entry
        message = f"unknown {kind} {name!r}{did_you_mean(name, (e.name for e in self.of(kind)))}"
        if self.broken:
            message += f" (not loaded: {', '.join(self.broken)}; see: msbench list)"
        raise PluginError(message)

    # The imports below are late because listing parts needs neither suites' types nor pydantic.

    def resolve(self, kind: Kind, choice: "Choice") -> "Part":
        """The choice with every option present; PluginError lists all that is wrong with it."""
        from msbench.plugins.parts import resolve

        return resolve(self, kind, choice)

    def build(self, kind: Kind, part: "Part") -> Callable[..., Any]:
        """The part's factory with its options bound; nested parts arrive bound likewise."""
        from msbench.plugins.parts import build

        return build(self, kind, part)

    def make_task(self, task: "Part", model: "Part") -> Any:
        """The task, prepared with the model's tokenizer if it brings one."""
        from msbench.plugins.parts import make_task

        return make_task(self, task, model)

    def sources(self, part: "Part") -> list[Any]:
        """The archives that a task reads, those of tasks nested in it included, without repeats."""
        from msbench.plugins.parts import parts_in

        tasks = [each for kind, each in parts_in("task", part) if kind == "task"]
        return list(
            dict.fromkeys(s for task in tasks for s in self.find("task", task.name).sources)
        )
