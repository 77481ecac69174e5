"""Trials on the nodes of a Ray cluster."""

import msbench


@msbench.hookimpl
def register_launchers(register: msbench.Register) -> None:
    register(
        "ray",
        "msbench_ray.launcher:on_ray",
        idea="Trials on the nodes of a Ray cluster, each in a process of its own.",
        paper="Moritz et al., 2018, Ray: a distributed framework for emerging AI applications",
    )
