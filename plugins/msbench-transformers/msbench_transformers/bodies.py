"""Models of transformers: built by their Auto class, with weights of a checkpoint or random ones."""

import json
from collections.abc import Mapping
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import AutoConfig

from msbench import BEGIN, END, PAD, MsbenchError, Task
from msbench_transformers.checkpoints import Checkpoint
from msbench_transformers.vocabulary import MOVED, Vocabulary

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


def special_ids(checkpoint: Checkpoint) -> dict[str, int]:
    """The checkpoint's special tokens: `bos`, `eos`, `unk`, `pad`, `cls`, `sep`, those it has."""
    tokenizer = Tokenizer.from_str(checkpoint.tokenizer)
    told = checkpoint.json("tokenizer_config.json") | checkpoint.json("special_tokens_map.json")
    found: dict[str, int] = {}
    for name in ("bos", "eos", "unk", "pad", "cls", "sep"):
        token = told.get(f"{name}_token")
        token = token.get("content") if isinstance(token, dict) else token
        number = None if token is None else tokenizer.token_to_id(token)
        number = checkpoint.config.get(f"{name}_token_id") if number is None else number
        if isinstance(number, int):
            found[name] = number
    return found


def around(checkpoint: Checkpoint) -> tuple[list[int], list[int]]:
    """The ids that the checkpoint's tokenizer puts before and after a text."""
    tokenizer = Tokenizer.from_str(checkpoint.tokenizer)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    plain = tokenizer.encode("a", add_special_tokens=False).ids
    whole = tokenizer.encode("a").ids
    start = next(i for i in range(len(whole)) if whole[i : i + len(plain)] == plain)
    return whole[:start], whole[start + len(plain) :]


def moved_tokenizer(checkpoint: Checkpoint) -> Tokenizer:
    """The checkpoint's tokenizer with msbench's ids: PAD, BEGIN, END, UNKNOWN, then its own.

    It puts nothing around a text. MsbenchError for kinds of tokenizers that are not known.
    """
    data = json.loads(checkpoint.tokenizer)
    model = data["model"]
    names = [f"<msbench-{name}>" for name in ("pad", "begin", "end", "unknown")]
    if isinstance(model.get("vocab"), dict):
        moved = {token: number + MOVED for token, number in model["vocab"].items()}
        model["vocab"] = {**{name: n for n, name in enumerate(names)}, **moved}
    elif isinstance(model.get("vocab"), list):
        model["vocab"] = [[name, -1e4] for name in names] + model["vocab"]
        if model.get("unk_id") is not None:
            model["unk_id"] += MOVED
    else:
        raise MsbenchError(f"checkpoint {checkpoint.name}: its tokenizer has no vocabulary")
    added = [{**each, "id": each["id"] + MOVED} for each in data.get("added_tokens", [])]
    blank = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    ours = [{**blank, "id": n, "content": name, "special": True} for n, name in enumerate(names)]
    data |= {"added_tokens": ours + added, "post_processor": None}
    data |= {"truncation": None, "padding": None}
    return Tokenizer.from_str(json.dumps(data))


def moved_vocabulary(checkpoint: Checkpoint, begin: int, end: int) -> Vocabulary:
    """How msbench's ids are read by a model with this checkpoint's."""
    known, (prefix, _) = special_ids(checkpoint), around(checkpoint)
    return Vocabulary(begin, end, known.get("pad"), known.get("unk"), prefix, moved=True)
