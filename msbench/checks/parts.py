"""The checks of every kind of part, and running them in turn."""

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from importlib import import_module
from typing import Any

from msbench.checks import registration
from msbench.checks.child import Send
from msbench.checks.findings import Finding, check_name, tried
from msbench.checks.subject import Subject
from msbench.errors import PluginWarning
from msbench.kinds import Kind
from msbench.plugins.loading import load_plugins

HOMES: dict[Kind, str] = {
    kind: f"msbench.checks.{kind}"
    for kind in (
        *("optimizer", "loss", "schedule", "model", "decoder", "task", "learner"),
        *("launcher", "command"),
    )
}
"""The module with the checks of a kind: in `CHECKS`, in the order they are run in. Unless the first
of them holds, the part cannot be made, and no other is tried."""

Check = Callable[[Any], Any]


def checks_of(kind: Kind) -> Sequence[Check]:
    """All checks of a kind."""
    return (*registration.CHECKS, *import_module(HOMES[kind]).CHECKS)


def check_part(
    kind: Kind, name: str, plugins: Iterable[str], files: Sequence[str], reference: str, send: Send
) -> None:
    """Sends findings about one part, each check announced before it begins.

    plugins: those to load, files among them.
    """
    registry = load_plugins(files, only=[*plugins])
    subject = Subject(registry, registry.find(kind, name), reference)
    first = import_module(HOMES[kind]).CHECKS[0]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for check in checks_of(kind):
            send({"begun": check_name(check)})
            finding = tried(str(subject), check, subject)
            send({"finding": asdict(finding)})
            if check is first and finding.verdict != "ok":
                break
    send({"finding": asdict(_leaves_no_trace(str(subject), caught))})


def _leaves_no_trace(part: str, caught: Iterable[warnings.WarningMessage]) -> Finding:
    """What factories changed of the process that other parts share."""
    said = [str(each.message) for each in caught if each.category is PluginWarning]
    verdict = "wrong" if said else "ok"
    return Finding(part, "leaves-no-trace", verdict, "; ".join(dict.fromkeys(said)))  # type: ignore[arg-type]
