"""The PyTorch learner: places batches, runs the closure, counts the passes."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils import clip_grad_norm_
from torch.utils.flop_counter import FlopCounterMode

import msbench
from msbench import Batch, Decoder, Step, Task, derive
from msbench.builtin.scoring import scores_of

Loss = Callable[[Any, Batch], tuple[Tensor, Tensor]]


class TorchLearner:
    """A torch model with its loss and optimizer; see `msbench.Learner`."""

    def __init__(
        self,
        task: Task,
        *,
        model: Callable[[Task], nn.Module],
        loss: Callable[..., Loss],
        optimizer: Callable[[nn.Module], torch.optim.Optimizer],
        seed: int,
        device: str = "cpu",
        threads: int = 1,
        dtype: str = "float32",
        accumulate: int = 1,
        clip: float = 0.0,
    ):
        torch.set_num_threads(threads)
        self.device = torch.device(device)
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        self._memory = msbench.PeakMemory()
        self.task, self.seed, self.accumulate, self.clip = task, seed, accumulate, clip
        self.reseed("init")
        # Weights are drawn on the CPU, so that they are the same on every device.
        self.model = model(task).to(self.device, getattr(torch, dtype))
        self.begin(loss, optimizer)
        self.reseed("dropout")

    def begin(
        self, loss: Callable[..., Loss], optimizer: Callable[[nn.Module], torch.optim.Optimizer]
    ) -> None:
        """The weights as they are, under this loss and a new optimizer."""
        self.loss: Loss = msbench.supplied(loss, task=self.task)
        self.optimizer = optimizer(self.model)
        self._trained = [p for p in self.model.parameters() if p.requires_grad]
        check_complete(self.model, self.optimizer)
        self._rates = [float(group["lr"]) for group in self.optimizer.param_groups]
        self._factor = 1.0

    @staticmethod
    def check_device(device: str) -> str:
        """Empty, or that torch finds no such CUDA device."""
        kind, _, number = device.partition(":")
        if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
            return f"torch {torch.__version__} finds {torch.cuda.device_count()} CUDA devices"
        return ""

    @staticmethod
    def check_optimizer(optimizer: Callable[[nn.Module], torch.optim.Optimizer]) -> str:
        """Empty, or why an optimizer cannot be made for a very small model, or what it forgets.

        It takes no step here: what a plugin does in one may crash or hang, and only a trial's own
        process may pay for that.
        """
        try:
            model = _Sample()
            check_complete(model, optimizer(model))
        except (msbench.MsbenchError, ValueError) as error:
            return str(error) or type(error).__name__
        except (Exception, SystemExit):  # of a plugin, and maybe of this model only: a trial tells
            return ""
        return ""

    @staticmethod
    def state_bytes(optimizer: Callable[[nn.Module], torch.optim.Optimizer]) -> float:
        """What an optimizer keeps, in bytes per weight of float32: measured on a small model after
        20 steps. It is what a plugin does in a step, so anything may be raised."""
        model = _Sample(words=256, width=64)
        made = optimizer(model)
        getattr(made, "train", lambda: None)()
        tokens = torch.arange(64).remainder(256)

        def closure(index: int = 0, of: int = 1) -> Tensor:
            made.zero_grad()
            with torch.enable_grad():
                loss = nn.functional.cross_entropy(model(tokens[index::of]), tokens[index::of] % 2)
                loss.backward()  # type: ignore[no-untyped-call]
            return loss

        for step in range(20):
            if hasattr(made, "spent"):
                made.spent = step / 20
            made.step(closure)  # type: ignore[arg-type]
        return _held(model, made) / sum(p.numel() for p in model.parameters())

    def reseed(self, purpose: str) -> None:
        """All of torch's generators."""
        torch.manual_seed(derive(self.seed, purpose))

    def train_step(self, batch: Batch) -> Step:
        """One optimizer step; every call of the closure is one pass.

        The closure takes a shard of the batch, too: `closure(index, of)` is the gradient of every
        `of`-th example and that share of a pass, for optimizers that simulate several workers.
        """
        placed = self._place(batch)
        passes: int | Fraction = 0
        first: dict[int, Tensor] = {}

        def closure(index: int = 0, of: int = 1) -> Tensor:
            nonlocal passes
            if of > len(batch.rows):
                raise msbench.MsbenchError(
                    f"a batch of {len(batch.rows)} examples has no shard for each of {of} workers"
                )
            self.optimizer.zero_grad(set_to_none=True)
            with torch.enable_grad():
                loss = self._gradient(placed if of == 1 else placed.shard(index, of))
            if self.clip:
                clip_grad_norm_(self._trained, self.clip)
            first.setdefault(index, loss / of)  # before the step: of every shard, the first
            passes += 1 if of == 1 else Fraction(1, of)  # thirds must add up to one
            return loss

        self.optimizer.step(closure)  # type: ignore[arg-type]
        if not passes:
            raise msbench.MsbenchError("the optimizer took a step without calling its closure")
        return Step(float(passes), sum(first.values()))

    def _gradient(self, batch: Batch) -> Tensor:
        """The gradient of the mean loss into the weights; returns that loss."""
        if self.accumulate == 1:
            total, count = self.loss(self.model, batch)
            loss = total / count
            loss.backward()  # type: ignore[no-untyped-call]
            return loss.detach()
        # Sums are added and divided once, by all target units: a mean of means would give the
        # units of a part with few of them more weight.
        sums, units = torch.zeros((), device=self.device), torch.zeros((), device=self.device)
        for index in range(min(self.accumulate, len(batch.rows))):
            total, count = self.loss(self.model, batch.shard(index, self.accumulate))
            total.backward()  # type: ignore[no-untyped-call]
            sums, units = sums + total.detach(), units + count
        torch._foreach_div_([p.grad for p in self._trained if p.grad is not None], units)
        return sums / units

    def set_rate(self, factor: float, spent: float) -> None:
        """Every group's learning rate = its initial one times `factor`.

        An optimizer that has an attribute `spent` is told the share of the budget that is spent.
        """
        if factor != self._factor:
            for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
                group["lr"] = rate * factor
            self._factor = factor
        if hasattr(self.optimizer, "spent"):
            self.optimizer.spent = spent

    @torch.inference_mode()
    def validate(self, batches: Sequence[Batch]) -> float:
        """Mean loss per target unit over all batches."""
        total = count = 0.0
        # Numbers, not tensors, are kept: small tensors between the large ones would pin the heap.
        for batch in batches:
            lost, units = self.loss(self.model, self._place(batch))
            total, count = total + float(lost), count + float(units)
        return total / max(1.0, count)

    def calibrate(self, decoder: Decoder) -> None:
        """Let a decoder that has `calibrate` see the trained model."""
        if hasattr(decoder, "calibrate"):
            decoder.calibrate(self.model)

    @torch.inference_mode()
    def predict(
        self, batch: Batch, decoder: Decoder, meter: msbench.Meter | None = None
    ) -> Sequence[Any]:
        """The decoder's predictions as lists and numbers."""
        placed = self._place(batch)
        predictions = decoder(self.model if meter is None else meter.watch(self.model), placed)
        return predictions.tolist() if isinstance(predictions, Tensor) else predictions

    @torch.inference_mode()
    def log_probabilities(self, batch: Batch, outputs: Sequence[Sequence[int]]) -> list[float]:
        """Nats of one output for each example, as `scoring.scores_of` has them."""
        return scores_of(self.model, self._place(batch), outputs, self.task.vocabulary)

    def mode(self, training: bool) -> None:
        """Switch dropout, and optimizers that evaluate other weights than they train."""
        self.model.train(training)
        switch = getattr(self.optimizer, "train" if training else "eval", None)
        if switch is not None:
            switch()

    def save(self, path: Path, about: Mapping[str, str]) -> None:
        """The model's state as it is now; weights that two parts share are written once."""
        # Copies, since cuDNN makes an LSTM's weights views of one block, which cannot be written.
        state = {name: each.to("cpu", copy=True) for name, each in self._state().items()}
        save_file({name: each.contiguous() for name, each in state.items()}, path, dict(about))

    def load(self, path: Path) -> None:
        """That state into a model of the same shape, which is not trained from here on."""
        try:
            saved = load_file(path)
        except (SafetensorError, OSError) as error:
            raise msbench.MsbenchError(f"{path}: these are no whole weights: {error}") from error
        state = self._state()
        theirs, ours = (
            {name: (tuple(each.shape), each.dtype) for name, each in several.items()}
            for several in (saved, state)
        )
        if wrong := sorted(n for n in {*theirs, *ours} if theirs.get(n) != ours.get(n)):
            raise msbench.MsbenchError(
                f"{path}: weights of another model: {len(wrong)} of {len(ours)} do not fit, such "
                f"as {wrong[0]!r}"
            )
        for name, each in state.items():
            each.copy_(saved[name])
        # What it averaged is nothing yet, and would take the place of what was loaded.
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.0)

    def _state(self) -> dict[str, Tensor]:
        """Weights and buffers, each once and by the first of its names."""
        found: dict[tuple[Any, ...], tuple[str, Tensor]] = {}
        for name, each in self.model.state_dict().items():
            found.setdefault((each.data_ptr(), each.shape, each.stride()), (name, each))
        return dict(found.values())

    def synchronize(self) -> None:
        """Wait for a CUDA device."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def peak_memory(self) -> int:
        """Bytes: of the device on CUDA, of the process on CPU."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        return self._memory.bytes()

    def optimizer_bytes(self) -> int:
        """Every tensor that the optimizer holds in training, whatever it calls it, once; not the
        weights, and not what is only set aside for an evaluation."""
        self.mode(training=True)
        size = _held(self.model, self.optimizer)
        self.mode(training=False)
        return size

    def sent_bytes(self) -> int:
        """What the optimizer counted in its attribute `sent_bytes`, if it has one."""
        return int(getattr(self.optimizer, "sent_bytes", 0))

    def flops(self, batch: Batch) -> tuple[float, float]:
        """Multiplications and additions of one more step, by torch's counter (matrix products,
        attention and the like; what is done number by number is not counted), and its passes."""
        held = [*self.model.parameters(), *self.model.buffers()]
        before = [each.detach().clone() for each in held]
        devices = [self.device] if self.device.type == "cuda" else []
        counter = FlopCounterMode(display=False)
        self.mode(training=True)
        try:
            # The counter knows no fused attention and no fused LSTM of the CPU.
            with (
                warnings.catch_warnings(action="ignore"),  # about another machine's arithmetic
                torch.random.fork_rng(devices=devices),
                sdpa_kernel(SDPBackend.MATH),
                torch.backends.mkldnn.flags(enabled=False),
                counter,
            ):
                step = self.train_step(batch)
        finally:
            self.mode(training=False)
            with torch.no_grad():
                for each, old in zip(held, before, strict=True):
                    each.copy_(old)
        return float(counter.get_total_flops()), step.passes

    def parameters(self) -> int:
        """Number of trained weights."""
        return sum(p.numel() for p in self.model.parameters() if p.requires_grad)

    def checksum(self) -> float:
        """Sum of all absolute weights in double precision."""
        with torch.no_grad():
            return float(sum(p.double().abs().sum() for p in self.model.parameters()))

    def _place(self, batch: Batch) -> Batch:
        def tensor(array: np.ndarray[Any, Any]) -> Tensor:
            return torch.from_numpy(array).to(self.device, non_blocking=True)

        return batch.map(tensor)


def check_complete(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """MsbenchError if the optimizer leaves trained weights out."""
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    forgotten = [name for name, p in trained if id(p) not in held]
    if forgotten:
        raise msbench.MsbenchError(
            f"the optimizer forgets {len(forgotten)} of {len(trained)} weights, such as "
            f"{forgotten[0]!r}; weights that should stay need requires_grad = False"
        )


class _Sample(nn.Module):
    """A bit of everything: embedding, matrices, norm, biases."""

    def __init__(self, words: int = 8, width: int = 4) -> None:
        super().__init__()
        self.tokens = nn.Embedding(words, width)
        self.hidden, self.norm = nn.Linear(width, width), nn.LayerNorm(width)
        self.head = nn.Linear(width, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.norm(self.hidden(self.tokens(tokens))))  # type: ignore[no-any-return]


def _held(model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Bytes of every tensor that the optimizer holds, the weights and gradients apart."""
    weights = list(model.parameters())
    own = {t.data_ptr() for p in weights for t in (p, p.grad) if t is not None}
    kept = {t.data_ptr(): t for t in _tensors(vars(optimizer), {id(p) for p in weights})}
    return sum(t.numel() * t.element_size() for place, t in kept.items() if place not in own)


def _tensors(value: Any, seen: set[int]) -> Iterator[Tensor]:
    """Every tensor inside, once."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _tensors(each, seen)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _tensors(each, seen)
    elif isinstance(value, torch.optim.Optimizer):
        yield from _tensors(vars(value), seen)
