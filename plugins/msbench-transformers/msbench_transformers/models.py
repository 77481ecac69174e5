"""The factories of models: `factory(task, **options)`.

Every one has a `checkpoint`, with whose tokens tasks are prepared (`tokens.py`), or a `config`
alone, and then random weights and the task's own tokens.
"""

from typing import Annotated, Any

from pydantic import Field
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForSeq2SeqLM

from msbench import BEGIN, MsbenchError, Task, Tokenizer
from msbench_transformers.bodies import make_body, make_config
from msbench_transformers.checkpoints import Checkpoint, find_checkpoint
from msbench_transformers.encoders import Encoder, Pairs, Pooling
from msbench_transformers.generators import CausalLM, EncoderDecoder
from msbench_transformers.options import Asked, Rules, rules_of
from msbench_transformers.tokens import around, prompt_ids
from msbench_transformers.vocabulary import Vocabulary

Share = Annotated[float, Field(ge=0, lt=1)]
Config = dict[str, Any]


def encoder(
    task: Task,
    checkpoint: str = "",
    revision: str = "",
    random: bool = False,
    config: Config = {},  # noqa: B006 (never changed, and the schema of an option)
    pooling: Pooling = "mean",
    pairs: Pairs = "together",
    dropout: Share = 0.1,
    checkpointing: bool = False,
) -> Encoder:
    """Labels of texts, pairs and tokens by an encoder such as BERT, RoBERTa, DeBERTa, ModernBERT.

    checkpoint: "minilm", a folder, or OWNER/NAME of the hub at a `revision`. random: only its
    configuration and tokens. config: changes of it, or without a checkpoint all of it, with its
    `model_type`. dropout: before the head. checkpointing: compute states twice, to keep fewer.
    """
    found = _found(task, checkpoint, revision)
    settings = make_config(task, found, config)
    body = make_body(AutoModel, settings, None if random else found)
    if getattr(body, "pooler", None) is not None:
        body.pooler = None  # it was trained for another question, and is not asked
    prefix = [BEGIN] if found is None else around(found)[0]
    _save_memory(body, checkpointing)
    return Encoder(task, body, Vocabulary(_of(task, found), prefix), pooling, pairs, dropout)


def causal_lm(
    task: Task,
    checkpoint: str = "",
    revision: str = "",
    random: bool = False,
    config: Config = {},  # noqa: B006
    generation: Asked = "checkpoint",
    checkpointing: bool = False,
) -> CausalLM:
    """Language modelling, or answers to a source that is read as a prompt, by a decoder such as
    GPT-2, Llama or Qwen.

    Options as of `hf-encoder`. generation: "suite" leaves to the suite's decoders what the
    checkpoint says of searching for outputs, which is refused otherwise.
    """
    found = _found(task, checkpoint, revision)
    settings = make_config(task, found, config)
    body = make_body(AutoModelForCausalLM, settings, None if random else found)
    rules = Rules() if found is None else rules_of(found, generation)
    if found is not None and rules.forced is not None:
        raise MsbenchError(
            f"checkpoint {found.name} forces the first token of a continuation "
            f"(forced_bos_token_id), which cannot be obeyed after a prompt"
        )
    _save_memory(body, checkpointing)
    return CausalLM(task, body, Vocabulary(_of(task, found), never=rules.never))


def encoder_decoder(
    task: Task,
    checkpoint: str = "",
    revision: str = "",
    random: bool = False,
    config: Config = {},  # noqa: B006
    generation: Asked = "checkpoint",
    prompt: str = "",
    checkpointing: bool = False,
) -> EncoderDecoder:
    """Translation, summaries, answers by an encoder-decoder such as T5, BART or Marian.

    Options as of `hf-causal-lm`. prompt: put before every source, such as T5's "summarize: ".
    """
    found = _found(task, checkpoint, revision)
    settings = make_config(task, found, config)
    body = make_body(AutoModelForSeq2SeqLM, settings, None if random else found)
    if found is None and prompt:
        raise MsbenchError("hf-encoder-decoder: prompt needs a checkpoint, whose tokens it is in")
    rules = Rules() if found is None else rules_of(found, generation)
    prefix = [] if found is None else around(found)[0] + prompt_ids(found, prompt)
    first = () if rules.forced is None or rules.start is None else (rules.start,)
    _save_memory(body, checkpointing)
    vocabulary = Vocabulary(_of(task, found), prefix, rules.never)
    return EncoderDecoder(task, body, vocabulary, first)


def _found(task: Task, checkpoint: str, revision: str) -> Checkpoint | None:
    """The checkpoint, if one is named; MsbenchError unless the task has its tokens."""
    if not checkpoint:
        return None
    found = find_checkpoint(checkpoint, revision)
    if task.tokenizer is None:
        raise MsbenchError(f"checkpoint {checkpoint} needs a task with its tokens, not with others")
    return found


def _of(task: Task, found: Checkpoint | None) -> Tokenizer | None:
    """The tokenizer whose ids the model reads; None: the task's own."""
    return None if found is None else task.tokenizer


def _save_memory(body: Any, checkpointing: bool) -> None:
    """Gradient checkpointing (Chen et al., 2016): states are computed again for the gradient."""
    if checkpointing:
        newer = getattr(body, "activation_checkpointing_enable", None)
        (newer or body.gradient_checkpointing_enable)({"use_reentrant": False})
