"""The PyTorch learner: places batches, runs the closure, counts the passes."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from copy import copy, deepcopy
from dataclasses import astuple
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import msbench
from msbench import Batch, Decoder, Prepared, Seen, Step, Task, derive
from msbench.builtin.capture import CudaGraphs, Record
from msbench.builtin.compiling import Compiled
from msbench.builtin.group import SumOfAll, device_of, join
from msbench.builtin.memory import Alive, stored_bytes
from msbench.builtin.movement import Movement
from msbench.builtin.operations import Aside, Work, untouched
from msbench.builtin.optimizers.capturing import make_capturable, rates_of, set_lr
from msbench.builtin.optimizers.inspection import (
    Make,
    check_complete,
    check_optimizer,
    check_processes,
    held_bytes,
    state_bytes,
)
from msbench.builtin.passes import (
    Unannounced,
    add_gradient,
    clip,
    clipping,
    cut_loose,
    differentiable_twice,
    scale_gradient,
)
from msbench.builtin.pieces import matrix_peak, pieces
from msbench.builtin.placing import Resident, placed
from msbench.builtin.precision import (
    Precision,
    casting,
    exactly,
    mode_notes,
    promote_logits,
    switched,
)
from msbench.builtin.replaying import why_eager
from msbench.builtin.resuming import frozen, read_checkpoint, why_no_checkpoint, write_checkpoint
from msbench.builtin.sampled import on_sampled_labels
from msbench.builtin.scoring import scores_of
from msbench.builtin.statistics import Owned, Statistics, statistics_batches
from msbench.builtin.steps import CapturedSteps, OnStream, Shard

if TYPE_CHECKING:
    from msbench.builtin.sharding import Sharded

Loss = Callable[[Any, Batch], tuple[Tensor, Tensor]]

LABELS = ("given", "sampled")
"""What a pass can be on."""


class TorchLearner:
    """A torch model with its loss and optimizer; see `msbench.Learner`."""

    pieces = pieces
    matrix_peak = matrix_peak
    write_checkpoint = write_checkpoint
    read_checkpoint = read_checkpoint

    def __init__(
        self,
        task: Task,
        *,
        model: Callable[[Task], nn.Module],
        loss: Callable[..., Loss],
        optimizer: Make,
        seed: int,
        device: str = "cpu",
        threads: int = 1,
        dtype: str = "float32",
        accumulate: int = 1,
        clip: float = 0.0,
        precision: Precision = "float32",
        compile: bool = False,
        graph: bool = False,
        processes: int = 1,
        sharded: bool = False,
    ):
        torch.set_num_threads(threads)
        self.device = device_of(device, processes)
        self.group = join(processes, self.device)
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        self.task, self.seed, self.accumulate, self.clip = task, seed, accumulate, clip
        self.precision, self.compile, self.graph = precision, compile, graph
        self._resident = Resident(self.device)
        self.reseed("init")
        # Weights are drawn on the CPU, so that they are the same on every device.
        self.model = model(task).to(self.device, getattr(torch, dtype))
        if precision == "bfloat16":
            promote_logits(self.model)
        self._movement, self._single, self._peak = Movement(self.model), list[bool](), 0
        self._sharded = self._split() if sharded else None
        self._why_eager = self.why_eager("model", model, task.kind) if self._captures else ""
        self.begin(loss, optimizer)
        self.reseed("dropout")

    def begin(self, loss: Callable[..., Loss], optimizer: Make) -> None:
        """Go on with the weights as they are, under this loss and a new optimizer."""
        if self._sharded:
            self._sharded.split()
        self._makes = loss, optimizer
        self.loss: Loss = msbench.supplied(loss, task=self.task)
        self.frozen, self._sent_before = frozen(self.model), self.group.sent_bytes
        self.optimizer = optimizer(self.model)
        if self._sharded:
            self._sharded.prepare(self.optimizer)
        self._owned, self._statistics = Owned(self.model), Statistics(self.model)
        self._apart = self.group.size > 1 and getattr(self.optimizer, "apart", False)
        self._trained = [p for p in self.model.parameters() if p.requires_grad]
        check_complete(self.model, self.optimizer)
        self._rates = rates_of(self.optimizer)
        self._factor = 1.0
        self._work = Work(
            self.model,
            self.loss,
            self.optimizer,
            self._again,
            1 if self._sharded else self.group.size,  # what is split is told of as a whole
        )
        self._before = Prepared(0.0, 0, "")
        self._unannounced = Unannounced()
        self._compiled = Compiled(self.loss, self.device) if self.compile else None
        self._captured = self._capture_steps() if self._captures else None

    def _split(self) -> "Sharded":
        from msbench.builtin.sharding import Sharded  # imports much, and is rarely needed

        return Sharded(self.model, self.group, self.device)

    @property
    def as_part(self) -> Callable[..., Tensor] | None:
        """Makes tensors that are split among processes, if weights are."""
        return self._sharded.as_part if self._sharded else None

    @property
    def _captures(self) -> bool:
        """Whether steps are to be captured, if they can be."""
        return self.graph and self.device.type == "cuda"

    def _capture_steps(self) -> CapturedSteps | None:
        """What captures steps and replays them; None if they cannot be."""
        loss, optimizer = self._makes
        if (
            self._why_eager
            or self.why_eager("loss", loss, self.task.kind)
            or self.why_eager("optimizer", optimizer, self.task.kind)
        ):
            return None
        graphs = CudaGraphs()
        return self.captured_by(graphs, graphs.on_stream)

    def captured_by(self, record: Record, on_stream: OnStream = nullcontext) -> CapturedSteps:
        """Steps that `record` records, from now on."""
        make_capturable(self.optimizer)
        self._captured = CapturedSteps(
            record, self._take, self.optimizer, self._resident, self._work, on_stream
        )
        return self._captured

    @staticmethod
    def why_eager(kind: str, make: Callable[..., Any], task: str) -> str:
        """Why steps with this model, loss or optimizer on this kind of task cannot be captured;
        empty if they can. Told without a GPU."""
        return why_eager(TorchLearner, kind, make, task)

    @staticmethod
    def why_no_checkpoint(kind: str, make: Callable[..., Any], task: str, dtype: str) -> str:
        """Why training with this model, loss or optimizer on this kind of task cannot go on from a
        checkpoint to the last bit; empty if it can."""
        return why_no_checkpoint(TorchLearner, kind, make, task, dtype)

    def counts(self) -> dict[str, Any]:
        """What it counted in this phase, as plain data and batches, for a checkpoint."""
        on_cuda = self.device.type == "cuda"
        return {
            "factor": self._factor,
            "single": self._single,
            "work": self._work.counts(),
            "prepared": astuple(self.prepared()),
            "peak": torch.cuda.max_memory_allocated(self.device) if on_cuda else 0,
            "sent": self.group.sent_bytes - self._sent_before,
        }

    def go_on(self, counts: Mapping[str, Any]) -> None:
        """Count on from what `counts` gave."""
        self._factor, self._single = counts["factor"], list(counts["single"])
        self._work.go_on(counts["work"], self.task.train)
        self._before, self._peak = Prepared(*counts["prepared"]), counts["peak"]
        self._sent_before = self.group.sent_bytes - counts["sent"]

    def told_by_all(self, number: float) -> list[float]:
        """What each process of the trial says, by its rank; all are asked at once."""
        return self.group.told_by_all(number, self.device)

    @staticmethod
    def mode_notes(modes: Mapping[str, Any], device: str) -> list[str]:
        """What is done otherwise than a suite's `precision`, `compile` and `graph` say."""
        return mode_notes(modes, device)

    @staticmethod
    def check_device(device: str) -> None:
        """MsbenchError if torch finds no such CUDA device."""
        kind, _, number = device.partition(":")
        if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
            raise msbench.MsbenchError(
                f"torch {torch.__version__} finds {torch.cuda.device_count()} CUDA devices"
            )

    check_optimizer = staticmethod(check_optimizer)
    check_processes = staticmethod(check_processes)
    state_bytes = staticmethod(state_bytes)

    def reseed(self, purpose: str) -> None:
        """Seed all of torch's generators."""
        torch.manual_seed(derive(self.seed, purpose))

    def train_step(self, batch: Batch, aside: Aside | None = None) -> Step:
        """One optimizer step; every call of the closure counts as one pass, and so does every
        backward pass that does without it.

        `closure(index, of)` computes the gradient of every `of`-th example from the one at `index`
        on and counts as that share of a pass, for optimizers that simulate several workers. With
        `create_graph=True` the gradient can be differentiated itself, and with `labels="sampled"`
        it is that of the loss on labels which the model draws (`on_sampled_labels`).
        """
        with switched(self.precision, self.device):
            if self._captured is not None:
                return self._captured.step(batch, aside)
            return self._take(batch, lambda: self._place(batch), aside)[0]

    def _take(
        self, batch: Batch, place: Callable[[], Batch], aside: Aside | None
    ) -> tuple[Step, list[Shard]]:
        """A step, and what each of its passes was over. place: puts the batch on the device."""
        on_device = place()
        passes = Fraction(0)
        shards: list[Shard] = []
        first_losses: dict[int, Tensor] = {}
        graphs = False
        self._unannounced.passes = Fraction(0)

        def closure(
            index: int = 0, of: int = 1, *, create_graph: bool = False, labels: str = "given"
        ) -> Tensor:
            nonlocal passes, graphs
            if labels not in LABELS:
                raise msbench.MsbenchError(f"labels are one of {LABELS}, not {labels!r}")
            if of > len(batch.rows):
                raise msbench.MsbenchError(
                    f"a batch of {len(batch.rows)} examples has no shard for each of {of} workers"
                )
            self.optimizer.zero_grad(set_to_none=True)
            part = on_device if of == 1 else on_device.shard(index, of)
            own = self._passed(batch, index, of)
            graphs |= create_graph
            self._owned.before_pass(index)
            self._unannounced.share = Fraction(1, of)
            loss_of = self.loss
            if labels == "sampled":
                loss_of = on_sampled_labels(loss_of)
            elif not create_graph and self._compiled is not None:
                self._warm_up(part, aside)
                loss_of = self._compiled
            with self._work.of_pass(own, aside), torch.enable_grad():
                loss = self._shared(part, loss_of, create_graph)
                if self.clip and create_graph:
                    scale_gradient(self._trained, clipping(self._trained, self.clip))
                elif self.clip:
                    clip(self._trained, self.clip)
            if labels == "given":
                first_losses.setdefault(index, loss / of)  # the loss before the step
            passes += Fraction(len(own), of)  # exact: three thirds add up to one
            shards.append((index, of))
            return loss

        with self._work.of_step(aside), self._unannounced.counted(), self._owned.step():
            self.optimizer.step(closure)  # type: ignore[arg-type]
        if not first_losses:
            raise msbench.MsbenchError(
                "the optimizer took a step without calling its closure"
                + (" for the given labels" if passes else "")
            )
        if graphs:
            cut_loose(self._trained)
        passes += self._unannounced.passes
        loss: Any = sum(first_losses.values())
        return Step(float(passes), SumOfAll(loss, self.group) if self._apart else loss), shards

    def _warm_up(self, batch: Batch, aside: Aside | None) -> None:
        """Compile what a batch of new shapes needs, off the clock and without a trace."""
        if self._compiled is None or self._compiled.knows(batch):
            return
        kept = untouched(self.model, self.model.buffers())
        with (aside or nullcontext)(), self._work.uncounted(), self._unannounced.announced(), kept:
            self._compiled.warm_up(batch, self._gradient)

    def _again(self, batch: Batch) -> Tensor:
        """A pass that only counting needs."""
        with self._unannounced.announced():
            return self._gradient(self._place(batch), self.loss)

    def _passed(self, batch: Batch, index: int, of: int) -> list[Batch]:
        """What all processes together pass over when each calls the closure once."""
        if self._apart and of == self.group.size:
            return [batch.shard(each, of) for each in range(of)]
        return [batch if of == 1 else batch.shard(index, of)]

    def _shared(self, batch: Batch, loss_of: Loss, create_graph: bool) -> Tensor:
        """As `_gradient`, by all processes together; or by each, if they train apart."""
        if self.group.size == 1:
            return self._gradient(batch, loss_of, create_graph)
        with self.group.own_randomness(self.device):
            if self._apart:
                return self._gradient(batch, loss_of, create_graph)
            if create_graph:
                raise msbench.MsbenchError(
                    "with several processes, no gradient can be differentiated (create_graph)"
                )
            # All make as many passes, since those over split weights are made together.
            parts = len(batch.rows) // self.group.size if self._sharded else None
            sums, units = self._sums(self.group.share_of(batch), loss_of, create_graph, parts)
        if self._sharded:  # which has added up gradients already
            self.group.add_up([sums, units])
        else:
            sums, units = self.group.add_gradients(self._trained, sums, units)
        torch._foreach_div_([p.grad for p in self._trained if p.grad is not None], units)
        return sums / units

    def _gradient(self, batch: Batch, loss_of: Loss, create_graph: bool = False) -> Tensor:
        """Put the gradient of the mean loss into the weights' `grad`; return that loss."""
        with differentiable_twice() if create_graph else nullcontext():
            return self._summed(batch, loss_of, create_graph)

    def _summed(self, batch: Batch, loss_of: Loss, create_graph: bool) -> Tensor:
        """As `_gradient`, part by part."""
        if self.accumulate == 1:
            with casting(self.precision, self.device):
                total, count = loss_of(self.model, batch)
            loss = total / count
            self._backward(loss, create_graph)
            return loss.detach()
        sums, units = self._sums(batch, loss_of, create_graph)
        if create_graph:
            scale_gradient(self._trained, 1 / units)
        else:
            torch._foreach_div_([p.grad for p in self._trained if p.grad is not None], units)
        return sums / units

    def _sums(
        self, batch: Batch, loss_of: Loss, create_graph: bool, most: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Add the gradient of the sum of the loss, part by part; that sum, and over how many units.

        It is divided once by their number: a mean of means would give those of a short part more
        weight. most: parts; as many as examples if that is left out.
        """
        sums, units = torch.zeros((), device=self.device), torch.zeros((), device=self.device)
        parts = min(self.accumulate, len(batch.rows) if most is None else most)
        for index in range(parts):
            with casting(self.precision, self.device):
                total, count = loss_of(self.model, batch.shard(index, parts))
            self._backward(total, create_graph)
            sums, units = sums + total.detach(), units + count
        return sums, units

    def _backward(self, loss: Tensor, create_graph: bool) -> None:
        """Add the gradient of a loss to the weights' `grad`."""
        with self._unannounced.announced():
            if create_graph:
                add_gradient(loss, self._trained)
            else:
                loss.backward()  # type: ignore[no-untyped-call]

    def set_rate(self, factor: float, spent: float) -> None:
        """Set every group's learning rate to its initial one times `factor`.

        spent: the share of the budget that is spent, set on optimizers that have this attribute.
        """
        if factor != self._factor:
            for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
                if rate is not None:
                    set_lr(group, rate * factor)
            self._factor = factor
        if hasattr(self.optimizer, "spent"):
            self.optimizer.spent = spent

    @torch.inference_mode()
    def validate(self, batches: Sequence[Batch]) -> float:
        """Mean loss per target unit over all batches."""
        total = count = 0.0
        # Floats, not tensors: small tensors between the large ones would fragment the heap.
        with exactly(self.device):
            for batch in batches[self.group.rank :: self.group.size]:
                batch_total, batch_count = self.loss(self.model, self._place(batch))
                total, count = total + float(batch_total), count + float(batch_count)
                if len(batch.rows) > 1:
                    self._single.append(float(batch_count) == 1)
        total, count = self.group.total(total, count, device=self.device)
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
        on_device = self._place(batch)
        with exactly(self.device):
            predictions = decoder(
                self.model if meter is None else meter.watch(self.model), on_device
            )
        return predictions.tolist() if isinstance(predictions, Tensor) else predictions

    @torch.inference_mode()
    def log_probabilities(self, batch: Batch, outputs: Sequence[Sequence[int]]) -> list[float]:
        """Log-probability in nats of one output for each example; see `scoring.scores_of`."""
        with exactly(self.device):
            return scores_of(self.model, self._place(batch), outputs, self.task.vocabulary)

    def mode(self, training: bool) -> None:
        """Switch dropout on or off, and the weights of optimizers that evaluate averaged ones, with
        the statistics of each."""
        if self._sharded and training:
            self._sharded.split()
        self.model.train(training)
        switch = getattr(self.optimizer, "train" if training else "eval", lambda: None)
        if training:
            self._statistics.train(switch)
        else:
            with exactly(self.device):
                self._statistics.evaluate(switch, self._statistics_batches)
            if self._sharded:
                self._sharded.gather()

    def _statistics_batches(self) -> Iterator[Batch]:
        return map(self._place, statistics_batches(self.task.train))

    def save(self, path: Path, about: Mapping[str, str]) -> None:
        """Write the model's state as it is now; weights that two parts share are written once."""
        # Copies, since cuDNN makes an LSTM's weights views of one block, which cannot be written.
        copies = {name: t.to("cpu", copy=True).contiguous() for name, t in self._state().items()}
        save_file(copies, path, dict(about))

    def load(self, path: Path) -> None:
        """Read what `save` wrote for a model of the same shape; training cannot go on from here."""
        try:
            saved = load_file(path)
        except (SafetensorError, OSError) as error:
            raise msbench.MsbenchError(f"{path}: these are no whole weights: {error}") from error
        state = self._state()
        forms = [{n: (t.shape, t.dtype) for n, t in each.items()} for each in (saved, state)]
        if wrong := sorted({name for name, _ in forms[0].items() ^ forms[1].items()}):
            raise msbench.MsbenchError(
                f"{path}: weights of another model: {len(wrong)} of {len(state)} do not fit, such "
                f"as {wrong[0]!r}"
            )
        for name, tensor in state.items():
            tensor.copy_(saved[name])
        # The optimizer's average is of other weights and would replace those that were loaded.
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.0)

    def _state(self) -> dict[str, Tensor]:
        """Weights and buffers, each once, by the first of its names."""
        named: dict[tuple[Any, ...], tuple[str, Tensor]] = {}
        state = self._sharded.state() if self._sharded else self.model.state_dict()
        for name, tensor in state.items():
            named.setdefault((tensor.data_ptr(), tensor.shape, tensor.stride()), (name, tensor))
        return dict(named.values())

    def synchronize(self) -> None:
        """Wait for a CUDA device."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def peak_memory(self, batch: Batch) -> float:
        """Bytes: on CUDA those that were allocated so far; on CPU those of the tensors of training,
        and not a number if weights are split among processes.

        Of a CPU's process one could only ask what the allocator took from the system and has not
        given back, which differs from run to run. Training on the batch is begun anew with a copy
        of the model, since a step cannot be taken back from whatever an optimizer keeps.
        """
        if self.device.type == "cuda":
            return max(self._peak, torch.cuda.max_memory_allocated(self.device))
        if self._sharded:
            return math.nan  # what is split cannot be copied
        with untouched(self.model, ()):
            twin = copy(self)
            twin.model, twin.compile = deepcopy(self.model), False
            alive = Alive()
            with alive:
                twin.begin(*self._makes)
                twin.mode(training=True)
                for _ in range(2):  # the first one makes the optimizer's state
                    twin.train_step(batch)
        return stored_bytes(self.model) + alive.peak

    def optimizer_bytes(self) -> int:
        """Bytes of all tensors that the optimizer holds in training, whatever they are called.

        Neither the weights count nor what is only set aside during an evaluation.
        """
        self.mode(training=True)
        size = held_bytes(self.model, self.optimizer)
        self.mode(training=False)
        return size

    def sent_bytes(self) -> int:
        """The optimizer's own count in its attribute `sent_bytes`; 0 if it has none. Of several
        processes, what they have really sent."""
        if self.group.size > 1:
            return (self.group.sent_bytes - self._sent_before) * self.group.size
        return int(getattr(self.optimizer, "sent_bytes", 0))

    def flops(self) -> float:
        """Floating point operations of the phase's steps that were given a clock to stop."""
        with self._sharded.aside() if self._sharded else nullcontext():
            return self._work.flops()

    def prepared(self) -> Prepared:
        """What compiling and capturing took in this phase, and how many steps were replayed."""
        compiled, captured = self._compiled, self._captured
        seconds = [each.seconds for each in (compiled, captured) if each is not None]
        return Prepared(
            sum(seconds, self._before.seconds),
            self._before.replayed + (captured.replayed if captured else 0),
            compiled.backend if compiled else "",
        )

    def seen(self) -> Seen:
        """Which weights have moved since they were drawn, and what the loss counts."""
        return Seen(*self._movement.seen(), bool(self._single) and all(self._single))

    def parameters(self) -> int:
        """Number of trained weights."""
        return sum(p.numel() for p in self.model.parameters() if p.requires_grad)

    def checksum(self) -> float:
        """Sum of all absolute weights in double precision."""
        with torch.no_grad():
            return float(sum(p.double().abs().sum() for p in self.model.parameters()))

    def _place(self, batch: Batch) -> Batch:
        """A batch of training from where its split is on the device, any other as it is."""
        resident = self.model.training and (self.compile or self.device.type == "cuda")
        return self._resident.place(batch) if resident else placed(batch, self.device)
