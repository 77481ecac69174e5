"""AdamW under another name: does `msbench challenge` say so?"""

import torch

import msbench

SPACE = {
    "lr": (3e-4, 3e-2, "log"),
    "beta2": (0.95, 0.999, "choice"),
    "weight_decay": (0.01, 0.1, "choice"),
}


@msbench.hookimpl
def register_optimizers(register):
    register("new", make, space=SPACE)


def make(model, lr=1e-3, beta2=0.999, weight_decay=0.01):
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=lr, betas=(0.9, beta2), fused=True)
