"""`msbench check`."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import groupby
from textwrap import fill
from typing import TYPE_CHECKING

import click

from msbench.checks.run import LIMIT, findings_of
from msbench.cli.options import Named, Seconds, plugin_option
from msbench.cli.output import echo, say, write
from msbench.errors import printable_json

if TYPE_CHECKING:
    from msbench.checks.findings import Finding

WRONG = 1
"""The exit code where a check found something."""

WIDTH = 100


@click.command("check")
@click.argument("targets", nargs=-1, required=True, metavar="NAME|FILE|PACKAGE...")
@click.option(
    "--reference",
    default="",
    metavar="MODULE:FACTORY",
    help="What an optimizer's steps must equal: another implementation, a known name (adamw), or "
    "none.  [default: what its name promises]",
)
@click.option(
    "--only", multiple=True, metavar="CHECK", help="Only this check, such as learns (repeatable)."
)
@click.option(
    "--limit",
    type=Seconds(),
    metavar="S",
    default=LIMIT,
    show_default=True,
    help="Seconds that one check may take.",
)
@click.option("--format", "style", type=Named(["text", "json"]), default="text", show_default=True)
@plugin_option
def command(
    targets: tuple[str, ...],
    reference: str,
    only: tuple[str, ...],
    limit: float,
    style: str,
    plugins: tuple[str, ...],
) -> None:
    """Check that parts of a plugin keep the contract.

    NAME: a part, such as optimizer:my-adamw or my-adamw, or a kind, such as losses; FILE: a
    plugin's file; PACKAGE: an installed plugin with all its parts. Each part is checked in a
    process of its own. The exit code is 1 if something is wrong.
    """
    found: list[Finding] = []
    findings = findings_of(targets, reference=reference, limit=limit, only=only, plugins=plugins)
    for part, group in groupby(findings, key=lambda each: each.part):
        own = list(group)
        found += own
        for line in _lines(part, own) if style == "text" else ():
            echo(line)
    if style == "json":
        import json

        rows = [asdict(each) for each in found]
        write(printable_json(json.dumps(rows, indent=1, ensure_ascii=False)))
    wrong = [each for each in found if each.verdict == "wrong"]
    if wrong:
        named = ", ".join(dict.fromkeys(each.part for each in wrong))
        say(f"{len(wrong)} of {len(found)} checks found something wrong: {named}")
        click.get_current_context().exit(WRONG)


def _lines(part: str, findings: "Iterable[Finding]") -> Iterator[str]:
    """What was checked of one part: what is wrong and what was said, then what is only ok."""
    findings = list(findings)
    yield part
    for each in findings:
        if each.why:
            yield from _wrapped(each.verdict.upper() if each.verdict == "wrong" else each.verdict,
                                f"{each.check}: {each.why}")  # fmt: skip
    if silent := [each.check for each in findings if not each.why]:
        yield from _wrapped("ok", ", ".join(silent))


def _wrapped(verdict: str, text: str) -> list[str]:
    first = f"  {verdict:<8}"
    return fill(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_on_hyphens=False,
        break_long_words=False,
    ).split("\n")
