"""Commands that come with msbench, as anyone could write them."""

import msbench
from msbench import Register


@msbench.hookimpl
def register_commands(register: Register) -> None:
    register(
        "init",
        "msbench.builtin.commands.init:init",
        idea="Look at a file of your own, and write a suite for it.",
    )
    register(
        "predict",
        "msbench.builtin.commands.predict:predict",
        idea="Predict for a file of your own with a fitted model.",
    )
    register(
        "data",
        "msbench.builtin.commands.data:data",
        idea="The archives that tasks read, and what is wrong with your own files.",
    )
    register(
        "selftest",
        "msbench.builtin.commands.selftest:selftest",
        idea="Identities that training must satisfy exactly, in seconds.",
    )
