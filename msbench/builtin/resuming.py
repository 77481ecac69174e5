"""State of training in a file: tensors, and JSON that says where they belong; no code.

A `TorchLearner` has `write_checkpoint` and `read_checkpoint` as methods, and `why_no_checkpoint`
tells without training whether a part goes on from one to the last bit.
"""

import json
import random
import tempfile
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from msbench import Batch, MsbenchError, stream, training_batches
from msbench.builtin.losses.pointwise import cross_entropy
from msbench.builtin.operations import untouched
from msbench.builtin.optimizers.torch_optim import sgd
from msbench.builtin.replaying import SIZE, made_up, small_model

STATE = "learner"
"""What the JSON of a learner is called in the metadata of a file."""

STEPS = 24
"""How many are compared, half of them after a checkpoint."""


class Packer:
    """Turns nested data into JSON and tensors; what is one tensor in two places stays one."""

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self._names: dict[int, str] = {}
        self._seen: list[Any] = []  # so that no other object gets the id of one

    def pack(self, value: Any) -> Any:
        """JSON for a value: numbers, texts and lists as they are, all else as {kind: content}.

        MsbenchError for what is none of a few plain kinds.
        """
        if value is None or type(value) in (bool, int, float, str):
            return value
        if isinstance(value, Tensor):
            # Products of matrices that lie otherwise in memory have other last bits.
            if hasattr(value, "to_local"):
                return {"part": self.pack(value.to_local()), "of": self._whole(value)}
            lies = {} if value.is_contiguous() or 0 in value.stride() else {"lies": value.stride()}
            return {"tensor": self._name(value), "device": str(value.device), **lies}
        if isinstance(value, np.ndarray):
            return {"array": self._name(torch.from_numpy(np.ascontiguousarray(value)))}
        if isinstance(value, np.generic):
            return self.pack(value.item())
        if type(value) is list:
            return [self.pack(each) for each in value]
        if isinstance(value, dict):
            return {"dict": [[self.pack(k), self.pack(v)] for k, v in value.items()]}
        if type(value) is tuple:
            return {"tuple": [self.pack(each) for each in value]}
        if isinstance(value, Fraction):
            return {"fraction": str(value)}
        if isinstance(value, torch.dtype):
            return {"dtype": str(value).removeprefix("torch.")}
        raise MsbenchError(f"a {type(value).__name__} cannot be written into a checkpoint")

    def _whole(self, tensor: Any) -> list[Any]:
        """Of a tensor that is split among processes: along what, its shape and its strides."""
        (placement,) = tensor.placements
        along = placement.dim if placement.is_shard() else None
        return [along, list(tensor.shape), list(tensor.stride())]

    def _name(self, tensor: Tensor) -> str:
        if id(tensor) not in self._names:
            self._names[id(tensor)] = name = str(len(self._names))
            self._seen.append(tensor)
            self.tensors[name] = tensor.detach().to("cpu", copy=True).contiguous()
        return self._names[id(tensor)]


class Unpacker:
    """Turns JSON and tensors into what they were made from."""

    def __init__(self, tensors: Mapping[str, Tensor], split: Callable[..., Tensor] | None = None):
        self._tensors, self._split = tensors, split
        self._placed: dict[str, Tensor] = {}

    def unpack(self, value: Any) -> Any:
        """The value that `Packer.pack` was given."""
        if isinstance(value, list):
            return [self.unpack(each) for each in value]
        if not isinstance(value, dict):
            return value
        kind, content = next(iter(value.items()))
        if kind == "tensor":
            if content not in self._placed:
                self._placed[content] = self._place(content, value["device"], value.get("lies"))
            return self._placed[content]
        if kind == "part" and self._split is not None:
            return self._split(self.unpack(content), *value["of"])
        if kind == "array":
            return self._tensors[content].numpy()
        if kind == "dict":
            return {self.unpack(k): self.unpack(v) for k, v in content}
        if kind == "tuple":
            return tuple(self.unpack(each) for each in content)
        return Fraction(content) if kind == "fraction" else getattr(torch, content)

    def _place(self, name: str, device: str, stride: Sequence[int] | None) -> Tensor:
        tensor = self._tensors[name].to(device)
        if stride is None:
            return tensor
        placed = torch.empty_strided(tensor.shape, stride, dtype=tensor.dtype, device=device)
        return placed.copy_(tensor)


def write_checkpoint(learner: Any, path: Path, about: Mapping[str, str]) -> None:
    """Write all that training goes on from as safetensors, with these words in its metadata."""
    packer = Packer()
    try:
        state = packer.pack(_state(learner))
    except MsbenchError as error:
        raise MsbenchError(f"state of {type(learner.optimizer).__name__}: {error}") from error
    save_file(packer.tensors, path, {**about, STATE: json.dumps(state)})


def read_checkpoint(
    learner: Any, path: Path, loss: Callable[..., Any], optimizer: Callable[..., Any]
) -> None:
    """Be as the learner was that wrote the file, in a phase with this loss and this optimizer.

    MsbenchError if the file is of another model, or not whole.
    """
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise MsbenchError(f"{path}: this is no whole checkpoint: {error}") from error
    state = Unpacker(tensors, learner.as_part).unpack(json.loads(about[STATE]))
    _freeze(learner.model, state["frozen"]["before"])
    learner.begin(loss, optimizer)
    _freeze(learner.model, state["frozen"]["now"])
    _load_weights(learner.model, state["weights"], path)
    learner.optimizer.load_state_dict(state["optimizer"])
    if "loss" in state:
        learner.loss.load_state_dict(state["loss"])
    learner.go_on(state["counts"])
    torch.set_rng_state(state["generators"]["cpu"])
    if "cuda" in state["generators"]:
        torch.cuda.set_rng_state(state["generators"]["cuda"], learner.device)


def _state(learner: Any) -> dict[str, Any]:
    """All that changes in training, as nested data."""
    generators = {"cpu": torch.get_rng_state()}
    if learner.device.type == "cuda":
        generators["cuda"] = torch.cuda.get_rng_state(learner.device)
    of_loss = {"loss": learner.loss.state_dict()} if hasattr(learner.loss, "state_dict") else {}
    return {
        "frozen": {"before": learner.frozen, "now": frozen(learner.model)},
        "weights": _weights(learner.model),
        "optimizer": learner.optimizer.state_dict(),
        "counts": learner.counts(),
        "generators": generators,
        **of_loss,
    }


def frozen(model: nn.Module) -> list[str]:
    """The names of the weights that are not trained."""
    return [name for name, p in model.named_parameters() if not p.requires_grad]


def _freeze(model: nn.Module, names: Sequence[str]) -> None:
    """Train all weights but these."""
    for name, p in model.named_parameters():
        p.requires_grad_(name not in names)


def _weights(model: nn.Module) -> dict[str, Tensor]:
    """Weights and buffers, those that `state_dict` leaves out included; each once."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


@torch.no_grad()
def _load_weights(model: nn.Module, saved: Mapping[str, Tensor], path: Path) -> None:
    weights = _weights(model)
    forms = [{name: (t.shape, t.dtype) for name, t in each.items()} for each in (saved, weights)]
    if wrong := sorted({name for name, _ in forms[0].items() ^ forms[1].items()}):
        raise MsbenchError(
            f"{path}: this is the checkpoint of another model: {len(wrong)} weights do not fit, "
            f"such as {wrong[0]!r}"
        )
    for name, tensor in weights.items():
        tensor.copy_(saved[name])


def why_no_checkpoint(
    learner: Callable[..., Any], kind: str, make: Callable[..., Any], task: str, dtype: str
) -> str:
    """Why training with this model, loss or optimizer, on this kind of task, does not go on from a
    checkpoint as if nothing had happened; empty if it does.

    Found out by doing it, on made-up data. learner: the class of torch's learners.
    """
    threads = torch.get_num_threads()  # every learner says how many it wants
    with untouched(nn.Module(), ()), tempfile.TemporaryDirectory() as folder:
        try:
            one, other = _both(learner, kind, make, task, dtype, Path(folder) / "checkpoint")
        except Exception as error:  # a plugin's code, on a task that it was not made for
            return f"a step on made-up data failed: {type(error).__name__}: {error}"
        finally:
            torch.set_num_threads(threads)
    if one == other:
        return ""
    keeps = (
        "its state_dict() lacks something that it keeps"
        if kind == "optimizer"
        else ("it keeps something that is neither a weight nor a buffer")
    )
    return f"it goes on differently from a checkpoint: {keeps}"


def _both(
    learner: Callable[..., Any], kind: str, make: Any, task: str, dtype: str, path: Path
) -> tuple[list[str], list[str]]:
    """What the second half of some steps leads to, without a break and from a checkpoint."""
    parts: dict[str, Any] = {"model": small_model(task), "loss": cross_entropy, "optimizer": sgd}
    parts[kind] = make
    # Another seed draws other weights: what an optimizer knows of them must be in its state.
    seeds = (0, 1 if kind == "optimizer" else 0)
    one, other = (learner(made_up(task), seed=seed, dtype=dtype, **parts) for seed in seeds)
    made = training_batches(made_up(task).train, SIZE, stream(0, "checkpoint"))
    batches = list(islice(made, STEPS))
    one.reseed("dropout")
    _steps(one, batches, 0, STEPS // 2)
    one.write_checkpoint(path, {})
    first = _steps(one, batches, STEPS // 2, STEPS)
    other.read_checkpoint(path, parts["loss"], parts["optimizer"])
    return first, _steps(other, batches, STEPS // 2, STEPS)


def _steps(learner: Any, batches: Sequence[Batch], start: int, end: int) -> list[str]:
    """Every loss, and the weights at the end, to the last bit."""
    random.seed(0)
    np.random.seed(0)
    learner.mode(training=True)
    seen = []
    for number in range(start, end):
        learner.set_rate(1.0 - 0.5 * number / STEPS, number / STEPS)
        seen.append(float(learner.train_step(batches[number]).loss).hex())
    learner.mode(training=False)
    weights = [t.detach().cpu().numpy().tobytes().hex() for t in _weights(learner.model).values()]
    learner.mode(training=True)
    return [*seen, *weights]
