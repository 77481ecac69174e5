"""AdamW whose bias correction is one step ahead: does `msbench challenge` see the error?"""

import torch

import msbench

SPACE = {
    "lr": (3e-4, 3e-2, "log"),
    "beta2": (0.95, 0.999, "choice"),
    "weight_decay": (0.01, 0.1, "choice"),
}


@msbench.hookimpl
def register_optimizers(register):
    register("late", make, space=SPACE)


def make(model, lr=1e-3, beta2=0.999, weight_decay=0.01):
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return Late(groups, {"lr": lr, "beta2": beta2})


class Late(torch.optim.Optimizer):
    @torch.no_grad()
    def step(self, closure):
        with torch.enable_grad():
            loss = closure()
        for group in self.param_groups:
            lr, beta2 = group["lr"], group["beta2"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state.update(t=0, m=torch.zeros_like(p), v=torch.zeros_like(p))
                state["t"] += 1
                late = state["t"] + 1  # the error
                state["m"].lerp_(p.grad, 0.1)
                state["v"].mul_(beta2).addcmul_(p.grad, p.grad, value=1 - beta2)
                p.mul_(1 - lr * group["weight_decay"])
                m, v = state["m"] / (1 - 0.9**late), state["v"] / (1 - beta2**late)
                p.addcdiv_(m, v.sqrt() + 1e-8, value=-lr)
        return loss
