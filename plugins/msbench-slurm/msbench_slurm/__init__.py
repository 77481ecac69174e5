"""Trials as jobs of a Slurm cluster, by submitit."""

import msbench


@msbench.hookimpl
def register_launchers(register: msbench.Register) -> None:
    register(
        "slurm",
        "msbench_slurm.launcher:slurm",
        idea="Packs of trials as array jobs of a Slurm cluster, each trial in its own process.",
    )
