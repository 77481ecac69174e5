"""Optimizers that are wrong, each in one way."""

import torch
from torch.optim import SGD, Optimizer

import msbench

BREAKS = {
    "late-adamw": "equals-its-reference",
    "skips-half": "moves-every-weight",
    "forgets-biases": "can-be-made",
    "no-rate": "can-be-made",
    "two-for-one": "takes-the-passes-it-declares",
    "beside-its-closure": "takes-the-passes-it-declares",
    "never-asks": "takes-the-passes-it-declares",
    "reads-first": "asks-before-it-reads",
    "remembers-others": "repeats-itself",
    "thaws": "leaves-frozen-weights",
    "decays-anyway": "stands-still-at-rate-zero",
    "deaf": "obeys-its-rate",
    "one-rate-for-all": "obeys-its-groups",
    "rounds-in-eval": "evaluates-without-a-trace",
    "forgetful": "goes-on-from-its-state",
    "climbs": "descends-a-bowl",
}
"""What breaks -> the check that has to find it."""


@msbench.hookimpl
def register_optimizers(register):
    for name in BREAKS:
        register(name, FACTORIES[name], idea="Wrong on purpose.")


def weights(model):
    return [p for p in model.parameters() if p.requires_grad]


class Plain(Optimizer):
    """SGD, in pieces that can be broken."""

    def __init__(self, groups, lr=0.1):
        super().__init__(groups, {"lr": lr})

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


class LateAdamW(Plain):
    """Its bias correction is off by one step."""

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


def forgets_biases(model):
    return SGD([p for p in weights(model) if p.ndim > 1], lr=0.1)


class NoRate(Plain):
    def __init__(self, groups):
        Optimizer.__init__(self, groups, {"alpha": 0.1})


class TwoForOne(Plain):
    def step(self, closure):
        closure()
        return super().step(closure)


class BesideItsClosure(Plain):
    """A second gradient that the learner does not see."""

    def __init__(self, model):
        super().__init__(weights(model))
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
        super().__init__(list(model.parameters()))

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
        super().__init__([{"params": some[:2]}, {"params": some[2:]}])

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

    def __init__(self, groups):
        super().__init__(groups)
        self.momenta = {}

    def move(self, p, g, group):
        m = self.momenta[id(p)] = 0.9 * self.momenta.get(id(p), 0) + g
        p.sub_(group["lr"] * m)


class Climbs(Plain):
    def move(self, p, g, group):
        p.add_(group["lr"] * g)


FACTORIES = {
    "late-adamw": lambda model, lr=1e-3: LateAdamW(weights(model), lr),
    "skips-half": lambda model: SkipsHalf(weights(model)),
    "forgets-biases": forgets_biases,
    "no-rate": lambda model: NoRate(weights(model)),
    "two-for-one": lambda model: TwoForOne(weights(model)),
    "beside-its-closure": BesideItsClosure,
    "never-asks": lambda model: NeverAsks(weights(model)),
    "reads-first": lambda model: ReadsFirst(weights(model)),
    "remembers-others": lambda model: RemembersOthers(weights(model)),
    "thaws": Thaws,
    "decays-anyway": lambda model: DecaysAnyway(weights(model)),
    "deaf": lambda model: Deaf(weights(model)),
    "one-rate-for-all": OneRateForAll,
    "rounds-in-eval": lambda model: RoundsInEval(weights(model)),
    "forgetful": lambda model: Forgetful(weights(model)),
    "climbs": lambda model: Climbs(weights(model)),
}


@msbench.hookimpl
def register_schedules(register):
    """Something good beside them."""
    register("fine", lambda: lambda spent: 1 - spent, idea="Down to zero.")
