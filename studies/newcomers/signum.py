"""Signum (Bernstein et al., 2018, signSGD): the sign of a momentum. An honest newcomer."""

import torch

import msbench

SPACE = {
    "lr": (1e-4, 1e-2, "log"),
    "beta": (0.9, 0.99, "choice"),
    "weight_decay": (0.01, 0.1, "choice"),
}


@msbench.hookimpl
def register_optimizers(register):
    register("signum", make, space=SPACE)


def make(model, lr=1e-3, beta=0.9, weight_decay=0.01):
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return Signum(groups, {"lr": lr, "beta": beta})


class Signum(torch.optim.Optimizer):
    @torch.no_grad()
    def step(self, closure):
        with torch.enable_grad():
            loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                momentum = self.state[p].setdefault("momentum", torch.zeros_like(p))
                momentum.lerp_(p.grad, 1 - group["beta"])
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.sub_(momentum.sign(), alpha=group["lr"])
        return loss
