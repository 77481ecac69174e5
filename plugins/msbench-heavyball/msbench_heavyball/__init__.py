"""The optimizers of heavyball, for msbench: `hb-soap`, `hb-psgd-kron` and so on.

Their names are in a table (`catalog.py`), so that listing them imports neither the package nor
torch.
"""

import msbench
from msbench_heavyball.catalog import CLASSES

REFUSED = {
    "SAMWrapper": "its groups have no `lr`; take `sam` around a heavyball optimizer instead",
    "SplitOpt": "it is given groups with an optimizer each, which a suite cannot say",
}
"""By class, why one cannot work in msbench."""


@msbench.hookimpl
def register_optimizers(register: msbench.Register) -> None:
    for name, (class_name, rate) in CLASSES.items():
        why_not = REFUSED.get(class_name, "")
        register(
            f"hb-{name}",
            f"msbench_heavyball.factories:{class_name}",
            idea=f"Refused: {why_not}." if why_not else f"{class_name} of heavyball.",
            paper=f"as the package says: heavyball, {class_name}",
            steps="memory",
            base="sgd",
            space=None if why_not else {"lr": (rate / 10, rate * 10, "log")},
        )
