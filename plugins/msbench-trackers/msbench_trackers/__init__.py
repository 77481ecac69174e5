"""Trials in a tracker, as they finish: TensorBoard, MLflow, Weights & Biases or trackio."""

import msbench


@msbench.hookimpl
def register_observers(register: msbench.Register) -> None:
    register(
        "tensorboard",
        "msbench_trackers.tensorboard:tensorboard",
        idea="Every trial as a run of TensorBoard: curve, scores and options, in event files.",
    )
    register(
        "mlflow",
        "msbench_trackers.mlflow:mlflow",
        idea="Every trial as a run of MLflow, in a file beside the records or on a server.",
    )
    register(
        "wandb",
        "msbench_trackers.wandb:wandb",
        idea="Every trial as a run of Weights & Biases, offline unless told otherwise.",
    )
    register(
        "trackio",
        "msbench_trackers.trackio:trackio",
        idea="Every trial as a run of trackio, in its local database.",
    )
