"""TensorBoard: a folder of event files for every run, written without torch or TensorFlow."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msbench import Event, inside
from msbench_trackers.run import Point, Run
from msbench_trackers.tracking import check_installed, tracking


def tensorboard(folder: Path, into: str = "tensorboard") -> Callable[[Event], None]:
    """Look at it with `tensorboard --logdir results/SUITE/tensorboard`.

    into: the folder of event files, in that of the results.
    """
    check_installed("tensorboard")
    return tracking(folder, lambda: TensorBoard(inside(folder, into)))


class TensorBoard:
    """A folder in which TensorBoard finds runs."""

    def __init__(self, folder: Path):
        self._folder = folder
        self.target = f"tensorboard:{folder.name}"

    def begin(self, run: Run) -> "EventFile":
        """A folder of its own, with the options of the run as hyperparameters."""
        return EventFile(self._folder / run.id, run)


class EventFile:
    """The event file of one run."""

    def __init__(self, folder: Path, run: Run):
        from tensorboard.plugins.hparams import summary_v2
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._file = EventFileWriter(str(folder))
        self._last = 0
        config = {**run.config, "run": run.name}
        self._add(summary_v2.hparams_pb(config, trial_id=run.id), run.started, 0)

    def log(self, points: Sequence[Point]) -> None:
        """Scalars at their steps."""
        for point in points:
            self._scalars(point.values, point.time, point.step)

    def close(self, run: Run) -> None:
        """Results stand at the last step."""
        self._scalars(run.results, run.finished, self._last)
        self._add(_end(run), run.finished, self._last)
        self._file.close()

    def _scalars(self, values: Mapping[str, float], time: float, step: int) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        made = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._add(Summary(value=made), time, step)
        self._last = step

    def _add(self, summary: Any, time: float, step: int) -> None:
        from tensorboard.compat.proto.event_pb2 import Event as TensorBoardEvent

        self._file.add_event(TensorBoardEvent(wall_time=time, step=step, summary=summary))


def _end(run: Run) -> Any:
    """How a run ended, for the table of hyperparameters.

    TensorBoard's own function for it imports TensorFlow.
    """
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

    status = api_pb2.STATUS_SUCCESS if run.status == "ok" else api_pb2.STATUS_FAILURE
    end = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=run.finished)
    data = plugin_data_pb2.HParamsPluginData(session_end_info=end)
    value = Summary.Value(
        tag=metadata.SESSION_END_INFO_TAG,
        metadata=metadata.create_summary_metadata(data),
        tensor=metadata.NULL_TENSOR,
    )
    return Summary(value=[value])
