"""Optimizers that are wrong, each in one way."""

import torch
from torch.optim import SGD, Optimizer


def weights(model):
    return [p for p in model.parameters() if p.requires_grad]


class Plain(Optimizer):
    """SGD, in pieces that can be broken."""

    def __init__(self, model, lr=0.1):
        super().__init__(weights(model), {"lr": lr})

    @torch.no_grad()
    def step(self, closure):
        loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.move(p, p.grad, group)
        return loss

    def move(self, p, g, group):
        p.sub_(group["lr"] * g)


class LateAdamw(Plain):
    """Its bias correction is off by one step."""

    def __init__(self, model, lr=1e-3):
        super().__init__(model, lr)

    def move(self, p, g, group):
        state = self.state[p]
        t = state["t"] = state.get("t", 0) + 1
        m = state["m"] = 0.9 * state.get("m", 0) + 0.1 * g
        v = state["v"] = 0.999 * state.get("v", 0) + 0.001 * g**2
        p.mul_(1 - group["lr"] * 0.01)
        m, v = m / (1 - 0.9 ** (t + 1)), v / (1 - 0.999 ** (t + 1))
        p.sub_(group["lr"] * m / (v.sqrt() + 1e-8))


class SkipsHalf(Plain):
    def move(self, p, g, group):
        half = p.numel() // 2
        p.view(-1)[:half].sub_(group["lr"] * g.view(-1)[:half])


class ForgetsBiases(SGD):
    def __init__(self, model):
        super().__init__([p for p in weights(model) if p.ndim > 1], lr=0.1)


class TwoForOne(Plain):
    def step(self, closure):
        closure()
        return super().step(closure)


class BesideItsClosure(Plain):
    """A second gradient that the learner does not see."""

    def __init__(self, model):
        super().__init__(model)
        self.model = model
        model.register_forward_pre_hook(self.remember)

    def remember(self, model, inputs):
        self.inputs = inputs

    def step(self, closure):
        loss = super().step(closure)
        with torch.enable_grad():
            self.model(*self.inputs).square().mean().backward()
        return loss


class NeverAsks(Plain):
    @torch.no_grad()
    def step(self, closure):
        for group in self.param_groups:
            for p in group["params"]:
                p.sub_(group["lr"] * torch.ones_like(p))


class ReadsFirst(Plain):
    """A SAM that expects gradients before its first closure."""

    @torch.no_grad()
    def step(self, closure):
        for p in self.param_groups[0]["params"]:
            if p.grad is not None:
                p.add_(0.01 * p.grad)
        return super().step(closure)


MEMORY = []


class RemembersOthers(Plain):
    """Its momentum belongs to the module, not to the instance."""

    def move(self, p, g, group):
        MEMORY.append(float(g.norm()))
        p.sub_(group["lr"] * g / (1 + 1e-3 * len(MEMORY)))


class Thaws(Plain):
    def __init__(self, model):
        Optimizer.__init__(self, list(model.parameters()), {"lr": 0.1})

    @torch.no_grad()
    def step(self, closure):
        loss = super().step(closure)
        for p in self.param_groups[0]["params"]:
            p.mul_(1 - 0.01 * self.param_groups[0]["lr"])
        return loss


class DecaysAnyway(Plain):
    def move(self, p, g, group):
        p.mul_(0.999).sub_(group["lr"] * g)


class Deaf(Plain):
    """It keeps the rate that it was made with."""

    def move(self, p, g, group):
        p.sub_(0.1 * g)


class OneRateForAll(Plain):
    def __init__(self, model):
        some = weights(model)
        groups = [{"params": some[:2]}, {"params": some[2:]}]
        Optimizer.__init__(self, groups, {"lr": 0.1})

    def move(self, p, g, group):
        p.sub_(self.param_groups[-1]["lr"] * g)


class RoundsInEval(Plain):
    """What it trains is recomputed from what it evaluates."""

    scale = 1.0

    def eval(self):
        self.resize(0.7)

    def train(self):
        self.resize(1.0)

    @torch.no_grad()
    def resize(self, scale):
        for p in self.param_groups[0]["params"]:
            p.mul_(scale / self.scale)
        self.scale = scale


class Forgetful(Plain):
    """Its momentum is in no state_dict."""

    def __init__(self, model):
        super().__init__(model)
        self.momenta = {}

    def move(self, p, g, group):
        m = self.momenta[id(p)] = 0.9 * self.momenta.get(id(p), 0) + g
        p.sub_(group["lr"] * m)


class Climbs(Plain):
    def move(self, p, g, group):
        p.add_(group["lr"] * g)
