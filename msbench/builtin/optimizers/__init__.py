"""Optimizers that come with msbench, and wrappers around them."""

from functools import partial

import msbench
from msbench import Register


@msbench.hookimpl
def register_optimizers(register: Register) -> None:
    where = "msbench.builtin.optimizers.torch_optim:"
    memory = partial(register, steps="memory", base="sgd")
    # Of options that are no rates two values: the default, and one that often decides.
    weak_decay = (0.0, 1e-3, "choice")  # at the large rates of SGD
    decay = (0.01, 0.1, "choice")
    beta2 = (0.95, 0.999, "choice")
    heavy_ball = partial(
        memory,
        space={
            "lr": (3e-3, 1.0, "log"),
            "momentum": (0.5, 0.9, "choice"),
            "weight_decay": weak_decay,
        },
    )
    small_rates = (3e-4, 3e-2, "log")
    large_rates = (3e-3, 3e-1, "log")
    adaptive = partial(memory, space={"lr": small_rates, "beta2": beta2, "weight_decay": decay})
    passes = partial(register, steps="passes", passes=2)
    slow_weights = partial(register, steps="slow-weights")
    register(
        "sgd",
        where + "sgd",
        idea="Stochastic gradient descent: one gradient, one step, no memory.",
        paper="Robbins and Monro, 1951, A stochastic approximation method",
        space={"lr": (3e-2, 3.0, "log"), "weight_decay": weak_decay},
        helps="Where rates are tuned and noise is small; on attention models it trails adaptive "
        "methods (Zhang et al., 2020, Why are adaptive methods good for attention models?).",
    )
    heavy_ball(
        "momentum",
        where + "momentum",
        idea="SGD along a decaying sum of past gradients.",
        paper="Polyak, 1964, Some methods of speeding up the convergence of iteration methods",
        helps="Where curvature differs between directions (Sutskever et al., 2013); at small "
        "rates it is hardly more than SGD with a larger one (Wang et al., 2024).",
    )
    heavy_ball(
        "nesterov",
        where + "nesterov",
        idea="Momentum that looks where it is about to be.",
        paper="Nesterov, 1983; Sutskever et al., 2013, The importance of momentum",
        helps="As momentum, and stabler where momentum is close to 1 (Sutskever et al., 2013).",
    )
    memory(
        "rmsprop",
        where + "rmsprop",
        space={
            "lr": small_rates,
            "alpha": (0.9, 0.99, "choice"),
            "weight_decay": (0.0, 0.1, "choice"),
        },
        idea="Steps scaled per weight by a mean of squared gradients.",
        paper="Tieleman and Hinton, 2012, Lecture 6.5",
        helps="Where the scale of gradients differs between weights and changes (Tieleman and "
        "Hinton, 2012).",
    )
    memory(
        "adagrad",
        where + "adagrad",
        idea="Steps scaled per weight by all squared gradients so far.",
        paper="Duchi et al., 2011, Adaptive subgradient methods",
        space={"lr": large_rates, "weight_decay": (0.0, 0.01, "choice")},
        helps="Rare features such as rare words (Duchi et al., 2011); its steps only ever shrink.",
    )
    memory(
        "adam",
        where + "adam",
        space={"lr": small_rates, "beta2": beta2},
        idea="Momentum, scaled per weight by a mean of squared gradients.",
        paper="Kingma and Ba, 2015, Adam: A method for stochastic optimization",
        helps="Transformers, and texts in which most words are rare (Kunstner et al., 2024, "
        "Heavy-tailed class imbalance).",
    )
    adaptive(
        "adamw",
        where + "adamw",
        idea="Adam, whose steps are scaled per weight, with decoupled weight decay.",
        paper="Loshchilov and Hutter, 2019, Decoupled weight decay regularization",
        helps="As Adam, where weights are decayed: rate and decay can be tuned apart (Loshchilov "
        "and Hutter, 2019).",
    )
    adaptive(
        "nadam",
        where + "nadam",
        idea="Adam with Nesterov's momentum.",
        paper="Dozat, 2016, Incorporating Nesterov momentum into Adam",
        helps="Where Adam does; tuned as well as Adam, it is never much worse (Choi et al., 2019, "
        "On empirical comparisons of optimizers).",
    )
    memory(
        "adafactor",
        where + "adafactor",
        idea="Adam's scaling from row and column sums: little memory.",
        paper="Shazeer and Stern, 2018, Adafactor",
        space={"lr": large_rates, "weight_decay": (0.0, 0.01, "choice")},
        helps="Where memory is short: large matrices of embeddings (Shazeer and Stern, 2018).",
    )
    memory(
        "muon",
        where + "muon",
        space={
            "lr": small_rates,
            "momentum": (0.9, 0.95, "choice"),
            "weight_decay": decay,
        },
        idea="Momentum of hidden matrices made orthogonal, AdamW for the rest.",
        paper="Jordan et al., 2024, Muon; Liu et al., 2025, Muon is scalable for LLM training",
        helps="Hidden matrices of transformers: half the compute of AdamW to the same loss (Liu "
        "et al., 2025, of their models).",
    )
    where = "msbench.builtin.optimizers.adam_family:"
    memory(
        "lion",
        where + "lion",
        space={
            "lr": (3e-5, 3e-3, "log"),
            "beta2": (0.98, 0.99, "choice"),
            "weight_decay": (0.1, 1.0, "choice"),
        },
        idea="The sign of momentum: every weight moves equally far, and half of Adam's memory.",
        paper="Chen et al., 2023, Symbolic discovery of optimization algorithms",
        helps="Large batches and large models: as good as AdamW or a little better (Chen et al., "
        "2023).",
    )
    adaptive(
        "cautious-adamw",
        where + "cautious_adamw",
        idea="AdamW without the weights' moves that point against the gradient.",
        paper="Liang et al., 2024, Cautious optimizers: improving training with one line of code",
        helps="Where AdamW does, up to 1.5 times faster (Liang et al., 2024, of their models).",
    )
    memory(
        "ademamix",
        where + "ademamix",
        space={
            "lr": small_rates,
            "beta3": (0.999, 0.9999, "choice"),
            "weight_decay": decay,
        },
        idea="Adam with a second momentum that remembers thousands of gradients.",
        paper="Pagliardini et al., 2024, The AdEMAMix optimizer: better, faster, older",
        helps="Long training, with thousands of steps to remember (Pagliardini et al., 2024).",
    )
    memory(
        "mars",
        where + "mars",
        space={
            "lr": small_rates,
            "gamma": (0.005, 0.025, "choice"),
            "weight_decay": decay,
        },
        idea="AdamW along gradients corrected by how they changed: less variance.",
        paper="Yuan et al., 2024, MARS: unleashing the power of variance reduction",
        helps="Noisy gradients of language models (Yuan et al., 2024); others find it close to "
        "AdamW once both are tuned (Wen et al., 2025, Fantastic pretraining optimizers).",
    )
    memory(
        "lamb",
        where + "lamb",
        space={"lr": (1e-3, 1e-1, "log"), "beta2": beta2, "weight_decay": decay},
        idea="Adam's steps, each weight tensor's as long as a share of the tensor.",
        paper="You et al., 2020, Large batch optimization for deep learning",
        helps="Batches of many thousands (You et al., 2020); tuned AdamW does as well (Nado et "
        "al., 2021, A large batch optimizer reality check).",
    )
    memory(
        "sophia-g",
        "msbench.builtin.optimizers.sophia:sophia_g",
        passes=1.1,
        space={
            "lr": small_rates,
            "gamma": (1.0, 10.0, "choice"),
            "weight_decay": (0.1, 0.3, "choice"),
        },
        idea="Momentum over curvature, seen now and then on labels that the model draws.",
        paper="Liu et al., 2023, Sophia: a scalable stochastic second-order optimizer",
        helps="Language models in half the steps of AdamW (Liu et al., 2023); tuned alike, others "
        "find less (Wen et al., 2025, Fantastic pretraining optimizers).",
    )
    where = "msbench.builtin.optimizers.parameter_free:"
    found = partial(memory, space={"lr": (0.3, 3.0, "log"), "weight_decay": decay})
    found(
        "prodigy",
        where + "prodigy",
        idea="Adam that estimates its own rate, and trusts the estimate sooner.",
        paper="Mishchenko and Defazio, 2023, Prodigy: an expeditiously adaptive parameter-free "
        "learner",
        helps="Where nobody can tune a rate (Mishchenko and Defazio, 2023).",
    )
    found(
        "dadapt-adam",
        where + "dadapt_adam",
        idea="Adam that estimates its own rate from how far it has come.",
        paper="Defazio and Mishchenko, 2023, Learning-rate-free learning by D-Adaptation",
        helps="Where nobody can tune a rate (Defazio and Mishchenko, 2023).",
    )
    where = "msbench.builtin.optimizers.kronecker:"
    memory(
        "shampoo",
        where + "shampoo",
        space={"lr": small_rates, "beta2": (0.95, 0.99, "choice"), "weight_decay": decay},
        idea="Momentum scaled by inverse roots of how rows, and columns, go together.",
        paper="Gupta et al., 2018, Shampoo; Anil et al., 2020, Scalable second order optimization",
        helps="Matrices with correlated rows and columns: fewer steps than Adam (Anil et al., "
        "2020), dearer ones.",
    )
    memory(
        "soap",
        where + "soap",
        space={"lr": small_rates, "beta2": (0.95, 0.99, "choice"), "weight_decay": decay},
        idea="AdamW in the eigenvectors that Shampoo would use.",
        paper="Vyas et al., 2024, SOAP: improving and stabilizing Shampoo using Adam",
        helps="As Shampoo, with decompositions made seldom (Vyas et al., 2024).",
    )
    where = "msbench.builtin.optimizers.orthogonalized:"
    memory(
        "normuon",
        where + "normuon",
        space={"lr": small_rates, "momentum": (0.9, 0.95, "choice"), "weight_decay": decay},
        idea="Muon whose rows all move about equally far.",
        paper="Li et al., 2025, NorMuon: making Muon more efficient and scalable",
        helps="As Muon, with some fewer steps (Li et al., 2025, of their models).",
    )
    memory(
        "adamuon",
        where + "adamuon",
        space={"lr": small_rates, "beta": (0.9, 0.95, "choice"), "weight_decay": decay},
        idea="Muon, scaled per weight by a mean of squares.",
        paper="Si et al., 2025, AdaMuon: adaptive Muon optimizer",
        helps="As Muon (Si et al., 2025, of their models).",
    )
    memory(
        "scion",
        where + "scion",
        space={
            "lr": (1e-4, 1e-2, "log"),
            "momentum": (0.9, 0.95, "choice"),
            "constrained": (False, True, "choice"),
        },
        idea="Steps of a fixed length in the norm that suits a layer, within a ball.",
        paper="Pethick et al., 2025, Training deep learning models with norm-constrained LMOs",
        helps="Rates that are to hold for models of other widths (Pethick et al., 2025).",
    )
    where = "msbench.builtin.optimizers.torch_optim:"
    register(
        "lbfgs",
        where + "lbfgs",
        idea="Curvature from past gradients, and a line search in every step.",
        paper="Liu and Nocedal, 1989, On the limited memory BFGS method",
        steps="passes",
        passes=5,
        space={"lr": (1e-2, 1.0, "log")},
        base="sgd",
        helps="Small models and gradients without noise, of all data at once; seldom with small "
        "batches (Bottou et al., 2018).",
    )
    where = "msbench.builtin.optimizers.wrappers:"
    passes(
        "sam",
        where + "SAM",
        idea="The gradient is taken where the loss is worst nearby: flat minima, two passes.",
        paper="Foret et al., 2021, Sharpness-aware minimization",
        space={"rho": (1e-2, 3e-1, "log")},
        helps="Little data, noisy labels and overfitting (Foret et al., 2021; of language models "
        "Bahri et al., 2022), where twice the passes can be paid.",
    )
    passes(
        "extragradient",
        where + "Extragradient",
        idea="The gradient is taken a step ahead, two passes.",
        paper="Korpelevich, 1976; Gidel et al., 2019, A variational inequality perspective on GANs",
        helps="Games of two players, such as GANs (Gidel et al., 2019); of one loss nothing is "
        "promised.",
    )
    slow_weights(
        "lookahead",
        where + "Lookahead",
        space={"k": (5, 10, "choice"), "alpha": (0.5, 0.8, "choice")},
        idea="k steps of a base optimizer, then slow weights move a part of the way.",
        paper="Zhang et al., 2019, Lookahead optimizer: k steps forward, 1 step back",
        helps="Bases whose rate is too high or hardly tuned (Zhang et al., 2019).",
    )
    slow_weights(
        "ema",
        where + "EMA",
        space={"decay": (0.95, 0.99, "choice")},
        idea="Evaluates a moving average of the weights instead of the last ones.",
        paper="Polyak and Juditsky, 1992, Acceleration of stochastic approximation by averaging",
        helps="Rates that do not fall to zero, whose last steps are noisy (Morales-Brotons et "
        "al., 2024).",
    )
    slow_weights(
        "swa",
        where + "SWA",
        space={"start": (0.5, 0.75, "choice")},
        idea="Evaluates the mean of the weights over the last part of training.",
        paper="Izmailov et al., 2018, Averaging weights leads to wider optima",
        helps="Rates that stay high to the end (Izmailov et al., 2018); a rate that falls to zero "
        "does much of the same (Hägele et al., 2024).",
    )
    where = "msbench.builtin.optimizers.local_sgd:"
    slow_weights(
        "local-sgd",
        where + "local_sgd",
        idea="Workers step on their own shards and average now and then.",
        paper="Stich, 2019, Local SGD converges fast; McMahan et al., 2017 (federated averaging)",
        helps="Workers with slow links, which send less for about the same loss (Stich, 2019); on "
        "one machine it saves nothing.",
    )
    slow_weights(
        "diloco",
        where + "diloco",
        idea="Local workers whose mean is the gradient of an outer Nesterov step.",
        paper="Douillard et al., 2023, DiLoCo: Distributed low-communication training",
        helps="Workers far apart, with hundreds of steps between two meetings (Douillard et al., "
        "2023); on one machine it saves nothing.",
    )
    register(
        "linear",
        "msbench.builtin.linear.parts:optimizer",
        idea="How the yardstick `linear` is fitted.",
        learner="linear",
        helps="Nothing that can be chosen: it belongs to the yardstick.",
    )
