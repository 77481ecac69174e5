"""Weights & Biases: a project for a suite, a run for every record."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from msbench import Event
from msbench_trackers.run import Point, Run
from msbench_trackers.tracking import check_installed, tracking


def wandb(
    folder: Path, project: str = "", mode: Literal["", "offline", "online"] = ""
) -> Callable[[Event], None]:
    """Send it later with `wandb sync results/SUITE/wandb/offline-run-*`.

    project: its name; by default the suite's. mode: by default what WANDB_MODE says, or offline: in
    files beside the records, and nothing is sent.
    """
    check_installed("wandb")
    how = mode or os.environ.get("WANDB_MODE") or "offline"
    return tracking(folder, lambda: WandB(folder, project or folder.name, how))


class WandB:
    """A project."""

    def __init__(self, folder: Path, project: str, mode: str):
        self._folder, self._project, self._mode = folder, project, mode
        self.target = f"wandb:{mode}:{project.replace(' ', '%20')}"

    def begin(self, run: Run) -> "WandBRun":
        """A run beside others that are open. What W&B would find out of machine and code by itself
        is left out: the record has it."""
        import wandb

        quiet = wandb.Settings(
            silent=True,
            console="off",
            disable_git=True,
            save_code=False,
            x_disable_stats=True,
            x_disable_meta=True,
        )
        begun = wandb.init(
            project=self._project,
            id=run.id,
            name=run.name,
            group=run.group,
            config=dict(run.config),
            dir=str(self._folder),
            mode=self._mode,  # type: ignore[arg-type]
            reinit="create_new",
            settings=quiet,
        )
        return WandBRun(begun)


class WandBRun:
    """A run on its way."""

    def __init__(self, run: Any):
        self._run = run

    def log(self, points: Sequence[Point]) -> None:
        """Numbers at their steps."""
        for point in points:
            self._run.log({**point.values, "time": point.time}, step=point.step)

    def close(self, run: Run) -> None:
        """Results are its summary; exit code 1 for a trial that did not end ok."""
        told = {"status": run.status, "reason": run.reason}
        self._run.summary.update({**run.results, **told})
        self._run.finish(exit_code=int(run.status != "ok"))
