"""Commands that come with msbench, as anyone could write them."""

import msbench
from msbench import Register


@msbench.hookimpl
def register_commands(register: Register) -> None:
    register("data", "msbench.builtin.commands.data:data", idea="The archives that tasks read.")
    register(
        "selftest",
        "msbench.builtin.commands.selftest:selftest",
        idea="Identities that training must satisfy exactly, in seconds.",
    )
