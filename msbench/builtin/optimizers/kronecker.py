"""Optimizers that know how the rows and the columns of a matrix's gradients go together.

A side of more than `largest` rows or columns, such as a vocabulary, is left as it is, and so are
vectors. Decompositions are made anew every `every` steps.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from msbench.builtin.optimizers.capturing import is_capturable
from msbench.builtin.optimizers.decay import Decay, decayed
from msbench.builtin.optimizers.rule import Group, Rule, walk
from msbench.builtin.types import OpenShare, PositiveShare, Rate, Size, Steps, WeightDecay

Sides = Sequence[Tensor | None]
"""What belongs to the rows and to the columns of a matrix; None where nothing does. Of a vector an
empty list."""


def shampoo(
    model: nn.Module,
    lr: Rate = 1e-3,
    beta1: OpenShare = 0.9,
    beta2: OpenShare = 0.99,
    eps: PositiveShare = 1e-8,
    ridge: PositiveShare = 1e-6,
    every: Steps = 10,
    largest: Size = 512,
    weight_decay: WeightDecay = 0.01,
    decay: Decay = "matrices",
) -> Optimizer:
    """Shampoo with steps as long as Adam's (grafting). ridge: what is added to the statistics, as a
    share of their largest eigenvalue."""
    groups = decayed(model.parameters(), weight_decay, decay, own=True)
    own = {"eps": eps, "ridge": ridge, "every": every, "largest": largest}
    return Shampoo(groups, lr=lr, betas=(beta1, beta2), **own)


def soap(
    model: nn.Module,
    lr: Rate = 3e-3,
    beta1: OpenShare = 0.95,
    beta2: OpenShare = 0.95,
    eps: PositiveShare = 1e-8,
    every: Steps = 10,
    largest: Size = 512,
    weight_decay: WeightDecay = 0.01,
    decay: Decay = "matrices",
) -> Optimizer:
    """SOAP: AdamW in the eigenvectors that Shampoo would use."""
    groups = decayed(model.parameters(), weight_decay, decay, own=True)
    return SOAP(groups, lr=lr, betas=(beta1, beta2), eps=eps, every=every, largest=largest)


class Kronecker(Rule):
    """Of each matrix the means of `G G'` and `G' G`, and what is made of them now and then."""

    steady = False

    @property
    def taken(self) -> int:
        """Steps taken before this one."""
        return self.shared.get("taken", 0)  # type: ignore[no-any-return]

    def advance(self) -> None:
        """A step, counted on the host."""
        if is_capturable(self):
            float(self.count)  # decompositions wait for the device: whoever captures is to know
        super().advance()
        self.shared["taken"] = self.taken + 1

    def is_due(self, group: Group) -> bool:
        """Whether decompositions are made anew in this step."""
        return self.taken % int(group["every"]) == 0

    def gather(self, group: Group, weight: Tensor, gradient: Tensor) -> Sides:
        """The means of both sides of a matrix, with this gradient in them."""
        if weight.ndim != 2:
            return []
        state, products = self.state[weight], (gradient @ gradient.T, gradient.T @ gradient)
        if "sides" not in state:
            state["sides"] = [
                torch.zeros_like(each) if len(each) <= group["largest"] else None
                for each in products
            ]
        for side, product in zip(state["sides"], products, strict=True):
            if side is not None:
                side.lerp_(product, 1 - group["betas"][1])
        return list(state["sides"])


class Shampoo(Kronecker):
    """Gupta et al., 2018, Shampoo: preconditioned stochastic tensor optimization, with a moving
    mean of the statistics, momentum before them and Adam's length (Anil et al., 2020; Shi et al.,
    2023)."""

    def move(self, group: Group, weights: list[Tensor], gradients: list[Tensor]) -> None:
        """Momentum times the inverse roots of both sides."""
        means, roots = self.moments(group, weights, gradients)
        ways = list(torch._foreach_div(means, roots))
        for p, gradient, mean, way in zip(weights, gradients, means, ways, strict=True):
            sides = self.gather(group, p, gradient)
            if all(side is None for side in sides):
                continue
            if "inverse" not in self.state[p] or self.is_due(group):
                self.state[p]["inverse"] = inverse_roots(sides, group["ridge"])
            turned = between(self.state[p]["inverse"], mean)
            length = torch.linalg.vector_norm(turned).clamp(min=torch.finfo(p.dtype).tiny)
            way.copy_(turned * (torch.linalg.vector_norm(way) / length))
        walk(group, weights, ways)


class SOAP(Kronecker):
    """Vyas et al., 2024, SOAP: improving and stabilizing Shampoo using Adam, algorithm 3.

    The first eigenvectors are those of the first gradient, along which a step is taken already.
    """

    def move(self, group: Group, weights: list[Tensor], gradients: list[Tensor]) -> None:
        """Adam's step in the eigenvectors of both sides, which then learn of the gradient."""
        new = ["bases" not in self.state[p] for p in weights]
        for p, gradient, is_new in zip(weights, gradients, new, strict=True):
            if is_new:
                sides = self.gather(group, p, gradient)
                self.state[p]["bases"] = [s if s is None else eigenvectors(s) for s in sides]
        walk(group, weights, self._ways(group, weights, gradients))
        for p, gradient, is_new in zip(weights, gradients, new, strict=True):
            if not is_new:
                sides = self.gather(group, p, gradient)
                if self.is_due(group):
                    pairs = zip(sides, self.state[p]["bases"], strict=True)
                    self.state[p]["bases"] = [s if s is None else turned(s, b) for s, b in pairs]

    def _ways(self, group: Group, weights: list[Tensor], gradients: list[Tensor]) -> list[Tensor]:
        (beta1, beta2), ways = group["betas"], []
        first, second = self.kept(weights, "first"), self.kept(weights, "second")
        torch._foreach_lerp_(first, gradients, 1 - beta1)
        for p, gradient, mean, squares in zip(weights, gradients, first, second, strict=True):
            bases = self.state[p]["bases"]
            own = between(transposed(bases), gradient)
            squares.mul_(beta2).addcmul_(own, own, value=1 - beta2)
            root = (squares * self.correction(beta2)).sqrt().add_(group["eps"])
            way = between(transposed(bases), mean) * self.correction(beta1) / root
            ways.append(between(bases, way.to(p.dtype)))
        return ways


def between(sides: Sides, matrix: Tensor) -> Tensor:
    """`left @ matrix @ right'`, where there are sides."""
    left, right = sides or (None, None)
    matrix = matrix if left is None else left @ matrix
    return matrix.clone() if right is None else matrix @ right.T


def transposed(sides: Sides) -> Sides:
    """Each side."""
    return [side if side is None else side.T for side in sides]


def inverse_roots(sides: Sides, ridge: float) -> Sides:
    """Each side to the power of -1/4, or -1/2 if there is one only, from its eigenvalues."""
    power = -0.5 / sum(side is not None for side in sides)
    roots: list[Tensor | None] = []
    for side in sides:
        if side is not None:
            values, vectors = torch.linalg.eigh(side.double())
            values = values.clamp(min=0) + ridge * values[-1].clamp(min=1e-30)
            side = ((vectors * values.pow(power)) @ vectors.T).to(side.dtype)
        roots.append(side)
    return roots


def eigenvectors(side: Tensor) -> Tensor:
    """As columns, the largest first, in which order the power iteration keeps them.

    In double precision: of few gradients, most eigenvalues are nearly equal, and single precision
    may find no eigenvectors at all.
    """
    vectors: Tensor = torch.linalg.eigh(side.double())[1].to(side.dtype)
    return vectors.flip(1)


def turned(side: Tensor, basis: Tensor) -> Tensor:
    """The basis one step of the power iteration nearer to the eigenvectors."""
    nearer: Tensor = torch.linalg.qr(side @ basis)[0]
    return nearer
