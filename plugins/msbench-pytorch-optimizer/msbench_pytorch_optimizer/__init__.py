"""The optimizers of pytorch-optimizer, for msbench: `po-lion`, `po-adan` and so on.

Their names are in a table (`catalog.py`), so that listing them imports neither the package nor
torch. Those that cannot work in msbench's loop are there, too, and the plan says why.
"""

import msbench
from msbench_pytorch_optimizer.catalog import CLASSES
from msbench_pytorch_optimizer.forms import CALLS, REFUSED
from msbench_pytorch_optimizer.spaces import space_of


@msbench.hookimpl
def register_optimizers(register: msbench.Register) -> None:
    for name, (class_name, rate) in CLASSES.items():
        why_not = REFUSED.get(name, "")
        register(
            f"po-{name}",
            f"msbench_pytorch_optimizer.factories:{name}",
            idea=f"Refused: {why_not}." if why_not else f"{class_name} of pytorch-optimizer.",
            paper="as the package says: pytorch-optimizer, " + class_name,
            steps="passes" if name in CALLS else "memory",
            passes=CALLS.get(name, 1),
            base="sgd",
            space=None if why_not else space_of(name, rate),
        )
