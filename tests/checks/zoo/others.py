"""Schedules, a launcher, a command and registrations that are wrong, each in one way."""

import math
import os

import click

import msbench

BREAKS = {
    "schedule:counts-its-calls": "depends-on-the-share-alone",
    "schedule:wastes-a-step": "wastes-no-step",
    "schedule:no-number": "gives-numbers",
    "schedule:nothing": "lets-train",
    "schedule:Loud": "says-what-it-is",
    "schedule:without-a-word": "says-what-it-is",
    "schedule:searches-nothing": "declares-what-exists",
    "schedule:changes-the-process": "leaves-no-trace",
    "schedule:ends-the-process": "can-be-made",
    "schedule:needs-an-option": "",
    "launcher:loses-one": "does-every-job-once",
    "launcher:takes-all": "takes-jobs-when-it-has-room",
    "command:no-help": "helps",
    "command:no-command": "can-be-made",
}


@msbench.hookimpl
def register_schedules(register):
    register("counts-its-calls", counts_its_calls, idea="x")
    register("wastes-a-step", lambda: lambda spent: min(1.0, 10 * spent), idea="x")
    register("no-number", lambda: lambda spent: math.nan if spent > 0.9 else 1.0, idea="x")
    register("nothing", lambda: lambda spent: 1e-9, idea="x")
    register("Loud", fine, idea="x")
    register("without-a-word", fine)
    register("searches-nothing", fine, idea="x", space={"warmpu": (0.0, 0.1, "choice")})
    register("changes-the-process", changes_the_process, idea="x")
    register("ends-the-process", ends_the_process, idea="x")
    register("needs-an-option", needs_an_option, idea="x")


@msbench.hookimpl
def register_launchers(register):
    register("loses-one", lambda: loses_one, idea="x")
    register("takes-all", lambda: takes_all, idea="x")


@msbench.hookimpl
def register_commands(register):
    register("no-help", click.Command("no-help"), idea="x")
    register("no-command", "os:getcwd", idea="x")


def fine(warmup: float = 0.0):
    return lambda spent: 1 - spent


def counts_its_calls():
    calls = []

    def factor(spent):
        calls.append(spent)
        return 1 / len(calls)

    return factor


def changes_the_process():
    os.environ["OMP_NUM_THREADS"] = "7"
    return fine()


def ends_the_process():
    os._exit(3)


def needs_an_option(peak: float):
    return lambda spent: peak


def loses_one(jobs, run, *, limit, preload):
    next(jobs, None)
    for job in jobs:
        yield job
        yield run(job)


def takes_all(jobs, run, *, limit, preload):
    for job in list(jobs):
        yield run(job)
