"""The checks of every kind of part, and running them in turn."""

import warnings
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from importlib import import_module
from typing import Any

from msbench.checks import registration
from msbench.checks.child import Send
from msbench.checks.findings import Finding, Wrong, check_name, tried
from msbench.checks.subject import Subject
from msbench.errors import PluginWarning
from msbench.kinds import Kind

HOMES: dict[Kind, str] = {
    kind: f"msbench.checks.{kind}"
    for kind in (
        *("optimizer", "loss", "schedule", "model", "decoder", "task", "metric"),
        *("learner", "launcher", "observer", "command"),
    )
}
"""The module with the checks of a kind: in `CHECKS`, in the order they are run in. Unless the first
of them holds, the part cannot be made, and no other is tried."""

Check = Callable[[Any], Any]


def checks_of(kind: Kind) -> Sequence[Check]:
    """All checks of a kind."""
    return (*registration.CHECKS, *import_module(HOMES[kind]).CHECKS)


def check_part(subject: Subject, only: Collection[str], send: Send) -> None:
    """Sends findings about one part, each check announced before it begins. only: names of checks,
    if not all are wanted; whether the part can be made is always looked at."""
    first = import_module(HOMES[subject.entry.kind]).CHECKS[0]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for check in checks_of(subject.entry.kind):
            if only and check is not first and check_name(check) not in only:
                continue
            send({"begun": check_name(check)})
            finding = _found(subject, check, whole=check in registration.CHECKS)
            send({"finding": asdict(finding)})
            if check is first and finding.verdict != "ok":
                break
    said = [str(each.message) for each in caught if each.category is PluginWarning]
    send({"finding": asdict(tried(str(subject), leaves_no_trace, said))})


def _found(subject: Subject, check: Check, *, whole: bool) -> Finding:
    """What a check says; most ask for steps of training, and `whole` ones do not."""
    if not whole and subject.fits_once:
        why = "its learner fits all in one step: there is no training to look at"
        return Finding(str(subject), check_name(check), "skipped", why)
    return tried(str(subject), check, subject)


def leaves_no_trace(said: Sequence[str]) -> None:
    """Making it, and all that it did while it was checked, leaves the process as it was.

    Its environment, working folder, streams, handlers, random states, and what its framework has
    for the whole process, such as threads or the default dtype; see docs/plugins.md."""
    if said:
        raise Wrong("; ".join(dict.fromkeys(said)))
