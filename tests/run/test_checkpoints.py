"""A trial that is killed goes on from its checkpoint, and ends as if nothing had happened."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from msbench.errors import SuiteError
from msbench.plan.suite import load_suite
from msbench.plan.trials import plan
from msbench.plugins.loading import load_plugins
from msbench.records.record import Record
from msbench.records.store import read

SUITE = """
seeds = [0]
processes = {processes}
limit = 600
{checkpoint}

[training]
passes = 12
batch_size = 8
validations = 3
accumulate = 2
clip = 1.0

[throughput]
rounds = 0

[[phase]]
passes = 5

[[phase]]
optimizer = {{ name = "ema", base = {{ name = "sam", base = {{ name = "adamw", lr = 3e-3 }} }} }}

[[task]]
name = "numbers-fr"
below = 200
examples = 200

[[model]]
name = "encoder-decoder"
width = 16
layers = 1
heads = 2
dropout = 0.2

[[schedule]]
name = "deadly"
calls = "{calls}"
deaths = "{deaths}"

[[optimizer]]
name = "diloco"
workers = 2
every = 2
base = {{ name = "momentum", lr = 0.1 }}

[[decoder]]
name = "greedy"
"""

SPLIT = "processes = 2", "processes = 2\nsharded = true"
WITHOUT = (
    'name = "diloco"\nworkers = 2\nevery = 2\nbase = { name = "momentum", lr = 0.1 }',
    'name = "momentum"\nlr = 0.1',
)

DEADLY = """
import os, signal
from pathlib import Path
import msbench

@msbench.hookimpl
def register_schedules(register):
    register("deadly", deadly)

def deadly(calls: str, deaths: str):
    rank = "r" * int(os.environ.get("RANK", 0))
    def factor(spent):
        with open(calls + rank, "a") as file:
            file.write(".")
        if rank + str(os.path.getsize(calls + rank)) in Path(deaths).read_text().split():
            os.kill(os.getpid(), signal.SIGKILL)
        return 1.0 - spent
    return factor
"""

FORGETFUL = """
import msbench
from torch.optim import SGD

@msbench.hookimpl
def register_optimizers(register):
    register("forgetful", Forgetful)

class Forgetful(SGD):
    def __init__(self, model):
        super().__init__(model.parameters(), lr=0.1)
        self.steps = 0

    def step(self, closure):
        self.steps += 1
        for group in self.param_groups:
            group["lr"] = 0.1 / self.steps
        return super().step(closure)
"""


def outcome(record: Record) -> dict[str, str]:
    """All of a record but its times, which no two runs share, by where it stands."""

    def flat(value: Any, place: str) -> Iterator[tuple[str, str]]:
        if isinstance(value, dict | list):
            pairs = value.items() if isinstance(value, dict) else enumerate(value)
            for key, each in pairs:
                if key not in TIMES:
                    yield from flat(each, f"{place}.{key}")
        else:
            yield place, repr(value)

    return dict(flat([record.status, record.reason, record.results], "record"))


TIMES = (
    *("seconds", "setup_seconds", "tokens_per_second", "first_token_seconds"),
    *("calibration_seconds", "per_second"),
)


@pytest.mark.parametrize(("processes", "sharded"), [(1, False), (2, False), (2, True)])
def test_a_trial_that_is_killed_goes_on_and_ends_with_the_same_bits(
    tmp_path: Path,
    call: Callable[..., Result],
    write_plugin: Callable[[str], str],
    server: None,
    processes: int,
    sharded: bool,
) -> None:
    """Two phases (workers with weights of their own; then averaging around two passes a step), with
    dropout, accumulation and clipping; killed in both. Of two processes the first one is killed in
    the first phase, the second one in the second. Weights that are split leave workers out."""
    suite, calls, deaths = (tmp_path / name for name in ("long.toml", "calls", "deaths"))
    plugin = write_plugin(DEADLY)

    def run(folder: str, checkpoint: str, *words: str, check: int = 0) -> Record:
        told = {"calls": calls, "deaths": deaths, "processes": processes}
        text = SUITE.format(checkpoint=checkpoint, **told)
        suite.write_text(text.replace(*SPLIT).replace(*WITHOUT) if sharded else text)
        call("run", suite, "--out", folder, "--plugin", plugin, *words, check=check)
        return read(tmp_path / folder / "long").records[-1]

    deaths.write_text("")
    undisturbed = run("a", "")
    assert undisturbed.status == "ok", undisturbed.reason
    steps = len(calls.read_text())
    assert steps == undisturbed.trial_results["training"]["steps"] == 8
    for each in tmp_path.glob("calls*"):
        each.unlink()
    kept = tmp_path / "b" / "long" / "checkpoints" / f"{undisturbed.key}.safetensors"
    last = "r" * (processes - 1)
    # Before the fourth step, and before the eighth, which is one of the second phase. The process
    # that did not die in the first may have been ended before its fourth call, or after.
    for who, more, words in (("", 4, ()), (last, 5, ("--retry",))):
        asked = Path(f"{calls}{who}")
        deaths.write_text(f"{who}{(len(asked.read_text()) if words else 0) + more}")
        killed = run("b", "checkpoint = 1e-9", *words, check=3)
        assert (killed.status, "SIGKILL" in killed.reason) == ("crashed", True)
        assert (killed.key, kept.is_file()) == (undisturbed.key, True)
    resumed = run("b", "checkpoint = 1e-9", "--retry")
    differs = outcome(resumed).items() ^ outcome(undisturbed).items()
    assert not differs
    taken = [len(each.read_text()) for each in tmp_path.glob("calls*")]
    # A process that is killed because another died may be before its step or in it.
    least = steps + 2 if processes == 1 else steps + 1
    assert len(taken) == processes
    assert all(least <= each <= steps + 2 for each in taken), "steps were taken again"
    assert not any(kept.parent.iterdir())


def test_a_part_that_would_go_on_differently_is_refused_at_the_plan(
    write_suite: Callable[..., Path],
    write_plugin: Callable[[str], str],
    fingerprint: Callable[..., str],
) -> None:
    registry = load_plugins([write_plugin(FORGETFUL)])
    suite = load_suite(
        str(write_suite(top="checkpoint = 1", bottom='\n[[optimizer]]\nname = "forgetful"\n'))
    )
    with pytest.raises(SuiteError) as error:
        plan(suite, registry, (), fingerprint)
    assert [line.partition("checkpoint: ")[2] for line in error.value.problems] == [
        "optimizer 'forgetful': it goes on differently from a checkpoint: its state_dict() lacks "
        "something that it keeps"
    ]
