"""trackio: a project for a suite, a run for every record."""

import os
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from contextvars import copy_context
from pathlib import Path
from typing import Any

from msbench import Event
from msbench_trackers.run import Point, Run
from msbench_trackers.tracking import check_installed, tracking


def trackio(folder: Path, project: str = "") -> Callable[[Event], None]:
    """Look at it with `trackio show --project SUITE`; TRACKIO_DIR says where trackio keeps things.

    project: its name; by default the suite's.
    """
    check_installed("trackio")
    return tracking(folder, lambda: Trackio(project or folder.name))


class Trackio:
    """A project."""

    def __init__(self, project: str):
        self._project = project
        self.target = f"trackio:{project.replace(' ', '%20')}"

    def begin(self, run: Run) -> "TrackioRun":
        """A run beside others that are open; of the machine nothing is measured."""
        import trackio

        # In a context of its own, or it would end the run that was begun before.
        with Path(os.devnull).open("w") as nothing, redirect_stdout(nothing):
            begun = copy_context().run(
                trackio.init,
                project=self._project,
                name=run.name,
                group=run.group,
                config={**run.config, "run": run.id},
                embed=False,
                auto_log_cpu=False,
                auto_log_gpu=False,
            )
        return TrackioRun(begun)


class TrackioRun:
    """A run on its way."""

    def __init__(self, run: Any):
        self._run, self._last = run, 0

    def log(self, points: Sequence[Point]) -> None:
        """Numbers at their steps."""
        for point in points:
            self._run.log(dict(point.values), step=point.step)
            self._last = point.step

    def close(self, run: Run) -> None:
        """Results stand at the last step."""
        self._run.log({**run.results, "status": run.status, "reason": run.reason}, step=self._last)
        with Path(os.devnull).open("w") as nothing, redirect_stdout(nothing):
            self._run.finish()
