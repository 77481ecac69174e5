"""The PyTorch learner: places batches, runs the closure, counts the passes."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import msbench
from msbench import Batch, Decoder, Step, Task, derive


class TorchLearner:
    """A torch model with its loss and optimizer; see `msbench.Learner`."""

    def __init__(
        self,
        task: Task,
        *,
        model: Callable[[Task], nn.Module],
        loss: Callable[[], Callable[[Any, Batch], tuple[Tensor, Tensor]]],
        optimizer: Callable[[nn.Module], torch.optim.Optimizer],
        seed: int,
        device: str = "cpu",
        threads: int = 1,
        dtype: str = "float32",
    ):
        torch.set_num_threads(threads)
        self.device = torch.device(device)
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        self._memory = msbench.PeakMemory()
        self.seed = seed
        self.reseed("init")
        # Weights are drawn on the CPU, so that they are the same on every device.
        self.model = model(task).to(self.device, getattr(torch, dtype))
        self.loss = loss()
        self.optimizer = optimizer(self.model)
        self._rates = [float(group["lr"]) for group in self.optimizer.param_groups]
        self._factor = 1.0
        self.reseed("dropout")

    @staticmethod
    def check_device(device: str) -> str:
        """Empty, or that torch finds no such CUDA device."""
        kind, _, number = device.partition(":")
        if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
            return f"torch {torch.__version__} finds {torch.cuda.device_count()} CUDA devices"
        return ""

    def reseed(self, purpose: str) -> None:
        """All of torch's generators."""
        torch.manual_seed(derive(self.seed, purpose))

    def train_step(self, batch: Batch) -> Step:
        """One optimizer step; every call of the closure is one pass."""
        placed, passes = self._place(batch), 0

        def closure() -> Tensor:
            nonlocal passes
            passes += 1
            self.optimizer.zero_grad(set_to_none=True)
            with torch.enable_grad():
                total, count = self.loss(self.model, placed)
                loss = total / count
                loss.backward()  # type: ignore[no-untyped-call]
            return loss.detach()

        loss = self.optimizer.step(closure)  # type: ignore[arg-type]
        return Step(passes, loss)

    def set_rate(self, factor: float) -> None:
        """Every group's learning rate = its initial one times `factor`."""
        if factor != self._factor:
            for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
                group["lr"] = rate * factor
            self._factor = factor

    @torch.inference_mode()
    def validate(self, batches: Sequence[Batch]) -> float:
        """Mean loss per target unit over all batches."""
        total = count = 0.0
        # Numbers, not tensors, are kept: small tensors between the large ones would pin the heap.
        for batch in batches:
            lost, units = self.loss(self.model, self._place(batch))
            total, count = total + float(lost), count + float(units)
        return total / max(1.0, count)

    @torch.inference_mode()
    def predict(self, batch: Batch, decoder: Decoder) -> Sequence[Any]:
        """The decoder's predictions as lists and numbers."""
        predictions = decoder(self.model, self._place(batch))
        return predictions.tolist() if isinstance(predictions, Tensor) else predictions

    def mode(self, training: bool) -> None:
        """Switch dropout, and optimizers that evaluate other weights than they train."""
        self.model.train(training)
        switch = getattr(self.optimizer, "train" if training else "eval", None)
        if switch is not None:
            switch()

    def synchronize(self) -> None:
        """Wait for a CUDA device."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def peak_memory(self) -> int:
        """Bytes: of the device on CUDA, of the process on CPU."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        return self._memory.bytes()

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
