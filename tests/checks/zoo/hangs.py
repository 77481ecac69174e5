"""A schedule that never comes, beside one that does."""

import time

import msbench


@msbench.hookimpl
def register_schedules(register):
    register("never-comes", lambda: time.sleep(10**6), idea="x")
    register("comes", lambda: lambda spent: 1 - spent, idea="x")
