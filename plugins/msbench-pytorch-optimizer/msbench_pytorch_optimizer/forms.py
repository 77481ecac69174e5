"""What has to be known of single optimizers of the package: nothing here imports it."""

MUONS = {"adago", "adamuon", "distributedmuon", "muon", "muonclip", "normuon"}
"""Told by a key of each group which weights are hidden matrices."""

HESSIAN = {"adahessian", "sophiah"}
"""They differentiate the gradient, in every `update_period`-th step."""

AROUND = {"bsam"}
"""Take gradients at other weights, and leave out every weight that has no gradient beforehand."""

AVERAGING = {"schedulefreeadamw", "schedulefreeradam", "schedulefreesgd", "splus"}
"""Evaluate other weights than they train."""

CALLS = {"bsam": 2, "adahessian": 2, "sophiah": 1.1, "lbfgs": 5}
"""Passes a step, where it is not one. A second derivative is a pass, and a line search several."""

REFUSED: dict[str, str] = {
    "lomo": "it steps during the backward pass, and leaves no gradient for msbench's closure",
    "adalomo": "it steps during the backward pass, and leaves no gradient for msbench's closure",
    "a2grad": "its groups have no `lr`, so no schedule and no search can set its rate",
    "alig": "its groups have no `lr`: it takes its rate from the loss",
    "demo": "it needs einops and a process group of torch.distributed",
    "distributedmuon": "it needs a process group of torch.distributed",
    "lorarite": "it is for pairs of LoRA matrices",
    "spectralsphere": "it takes matrices alone, and a model has vectors, too",
    "magma": "it is a wrapper, and masks what its base does to weights after the step",
}
"""By name, why one cannot work here."""
