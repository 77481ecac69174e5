"""MLflow: an experiment for a suite, a run for every record."""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from msbench import Event, MsbenchError
from msbench_trackers.run import Point, Run
from msbench_trackers.tracking import check_installed, tracking

AT_ONCE = {"metrics": 1000, "params": 100, "tags": 100}
"""How many MLflow takes in one call."""


def mlflow(folder: Path, uri: str = "", experiment: str = "") -> Callable[[Event], None]:
    """Look at it with `mlflow ui --backend-store-uri sqlite:///results/SUITE/mlflow.db`.

    uri: of the store or server; by default what MLFLOW_TRACKING_URI says, or a file beside the
    records. experiment: its name; by default the suite's.
    """
    check_installed("mlflow")
    check_whole()
    place = (
        uri or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{folder.resolve()}/mlflow.db"
    )
    return tracking(folder, lambda: MLflow(place, experiment or folder.name, folder))


def check_whole() -> None:
    """MsbenchError for mlflow-skinny, which has no store of its own."""
    check_installed("mlflow", "sqlalchemy")


class MLflow:
    """An experiment."""

    def __init__(self, uri: str, experiment: str, folder: Path):
        # It would tell its makers of every use.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow import MlflowClient

        self.target = f"mlflow:{uri.replace(' ', '%20')}#{experiment.replace(' ', '%20')}"
        self._client = MlflowClient(tracking_uri=uri)
        found = self._client.get_experiment_by_name(experiment)
        if found and found.lifecycle_stage != "active":
            raise MsbenchError(
                f"experiment {experiment!r} of {uri} is deleted: restore it, or name another"
            )
        self._experiment = found.experiment_id if found else self._new(experiment, uri, folder)

    def _new(self, experiment: str, uri: str, folder: Path) -> str:
        local = uri.startswith("sqlite:")
        artifacts = (folder / "mlflow-artifacts").resolve().as_uri() if local else None
        return str(self._client.create_experiment(experiment, artifact_location=artifacts))

    def begin(self, run: Run) -> "MLflowRun":
        """A run that is RUNNING until it is closed."""
        tags = {"mlflow.runName": run.name, "msbench.run": run.id, "msbench.group": run.group}
        begun = self._client.create_run(
            self._experiment, start_time=round(run.started * 1000), tags=tags, run_name=run.name
        )
        made = MLflowRun(self._client, begun.info.run_id)
        made.batch(params=_params(run.config))
        return made


class MLflowRun:
    """A run on its way."""

    def __init__(self, client: Any, identity: str):
        self._client, self._id, self._last = client, identity, 0

    def log(self, points: Sequence[Point]) -> None:
        """Metrics at their steps."""
        self.batch(metrics=(m for p in points for m in _metrics(p.values, p.time, p.step)))
        self._last = max([self._last, *(point.step for point in points)])

    def close(self, run: Run) -> None:
        """Results stand at the last step; what did not end ok is FAILED, and a tag says why."""
        from mlflow.entities import RunTag

        self.batch(metrics=_metrics(run.results, run.finished, self._last))
        told = {"msbench.status": run.status, "msbench.reason": run.reason[:5000]}
        self.batch(tags=(RunTag(name, value) for name, value in told.items() if value))
        ended = "FINISHED" if run.status == "ok" else "FAILED"
        self._client.set_terminated(self._id, ended, round(run.finished * 1000))

    def batch(self, **several: Iterator[Any]) -> None:
        """Log metrics, params or tags, as many at once as MLflow takes."""
        for kind, entities in several.items():
            while some := list(islice(entities, AT_ONCE[kind])):
                self._client.log_batch(self._id, **{kind: some})


def _params(config: Mapping[str, Any]) -> Iterator[Any]:
    from mlflow.entities import Param

    return (Param(_allowed(name), str(value)[:6000]) for name, value in config.items())


def _metrics(values: Mapping[str, float], time: float, step: int) -> Iterator[Any]:
    from mlflow.entities import Metric

    return (Metric(_allowed(k), v, round(time * 1000), step) for k, v in values.items())


def _allowed(name: str) -> str:
    """A name without what MLflow refuses."""
    return re.sub(r"[^\w.\- /:]", "_", name)
