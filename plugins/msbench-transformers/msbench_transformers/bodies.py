"""Models of transformers, built by their Auto class: weights of a checkpoint, or random ones."""

from collections.abc import Mapping
from typing import Any

import torch
from transformers import AutoConfig
from transformers.utils import logging

from msbench import BEGIN, END, PAD, MsbenchError, Task
from msbench_transformers.checkpoints import Checkpoint

Config = Mapping[str, Any]

OWN = {
    "pad_token_id": PAD,
    "bos_token_id": BEGIN,
    "cls_token_id": BEGIN,
    "decoder_start_token_id": BEGIN,
    "eos_token_id": END,
    "sep_token_id": END,
    "forced_bos_token_id": None,
    "forced_eos_token_id": None,
}
"""The special tokens of a model that reads a task's own tokens."""


def make_config(task: Task, checkpoint: Checkpoint | None, changes: Config) -> Any:
    """The configuration: the checkpoint's, else that of a `model_type`, with these changes."""
    if checkpoint is not None:
        given = {**checkpoint.config, **changes}
        if given["model_type"] != checkpoint.config["model_type"]:
            raise MsbenchError("config: the model_type of a checkpoint cannot be changed")
    else:
        given = {**OWN, "vocab_size": task.vocabulary, **changes}
    if "model_type" not in given:
        raise MsbenchError(
            'a model needs checkpoint = "...", or config = { model_type = "gpt2", ... } for random '
            "weights"
        )
    kind = given.pop("model_type")
    try:
        return AutoConfig.for_model(kind, **given)
    except (ValueError, TypeError) as error:
        raise MsbenchError(f"config of {kind}: {str(error).splitlines()[0]}") from error


def make_body(auto: Any, config: Any, checkpoint: Checkpoint | None) -> Any:
    """The model that an Auto class has for this configuration, in float32.

    checkpoint: whose weights it takes; None: random ones. MsbenchError if weights are missing.
    """
    try:
        if checkpoint is None:
            return auto.from_config(config, dtype=torch.float32)
    except ValueError as error:
        raise MsbenchError(f"{auto.__name__}: {str(error).splitlines()[0]}") from error
    logging.disable_progress_bar()
    options: dict[str, Any] = {
        "config": config,
        "dtype": torch.float32,
        "use_safetensors": True,
        "output_loading_info": True,
    }
    if checkpoint.folder is not None:
        options |= {"trust_remote_code": False, "local_files_only": True}
        body, told = auto.from_pretrained(checkpoint.folder, **options)
    else:
        with torch.device("meta"):
            kind = type(auto.from_config(config))
        body, told = kind.from_pretrained(None, state_dict=checkpoint.weights(), **options)
    missing = sorted(name for name in told["missing_keys"] if "pooler" not in name)
    if missing or told["mismatched_keys"]:
        wrong = missing or [str(each[0]) for each in told["mismatched_keys"]]
        raise MsbenchError(
            f"checkpoint {checkpoint.name} lacks {len(wrong)} weights of {type(body).__name__}, "
            f"such as {wrong[0]!r}"
        )
    return body
