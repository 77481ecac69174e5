"""Our encoder-decoder as a CTranslate2 model, weight for weight.

CTranslate2 knows rotary or learned positions, not both, so learned ones must be zero.
"""

from collections.abc import Callable
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from torch import Tensor, nn

from msbench import BEGIN, END, PAD
from msbench.builtin.models.encoder_decoder import EncoderDecoder

Outputs = list[list[int]]


def translator(
    model: EncoderDecoder, heads: int, device: str, compute: str
) -> Callable[[Tensor, int, int], Outputs]:
    """(sources, beam width, tokens) -> as many tokens for each source, by CTranslate2.

    The model must be normalized before each part and have no pointer.
    """
    import ctranslate2

    spec, words = _spec(model, heads), _words(len(model.source.tokens.weight))
    with TemporaryDirectory() as folder:
        spec.save(folder)
        runner = ctranslate2.Translator(
            folder, device=device, compute_type=compute, intra_threads=1
        )
    ids = {word: number for number, word in enumerate(words)}

    def translate(source: Tensor, beams: int, new: int) -> Outputs:
        results = runner.translate_batch(
            [[words[i] for i in row] for row in source.tolist()],
            beam_size=beams,
            length_penalty=0.0,
            min_decoding_length=new,
            max_decoding_length=new,
            suppress_sequences=[[words[PAD]], [words[BEGIN]]],
            return_end_token=True,
        )
        return [[ids[word] for word in result.hypotheses[0]] for result in results]

    return translate


def _words(count: int) -> list[str]:
    words = [f"t{number}" for number in range(count)]
    words[PAD], words[BEGIN], words[END], words[END + 1] = "<pad>", "<s>", "</s>", "<unk>"
    return words


def _spec(model: EncoderDecoder, heads: int) -> Any:
    from ctranslate2.specs import common_spec, transformer_spec

    same: dict[str, Any] = {
        "activation": common_spec.Activation.GELU,
        "rotary_dim": 0,  # all of a head
        "rotary_interleave": True,
    }
    layers = len(model.encoder)
    encoder = transformer_spec.TransformerEncoderSpec(layers, heads, **same)
    decoder = transformer_spec.TransformerDecoderSpec(layers, heads, **same)
    tokens = _array(model.source.tokens.weight)
    encoder.embeddings[0].weight = decoder.embeddings.weight = decoder.projection.weight = tokens
    _norm(encoder.layer_norm, model.source_norm)
    _norm(decoder.layer_norm, model.target_norm)
    for own, layer in zip(encoder.layer, model.encoder, strict=True):
        _within(own, layer)
    for own, layer in zip(decoder.layer, model.decoder, strict=True):
        _within(own, layer)
        _norm(own.attention.layer_norm, layer.look.norm)
        across = layer.across
        for linear, part in zip(
            own.attention.linear, (across.query, across.key_value, across.out), strict=True
        ):
            _linear(linear, part)
    spec = transformer_spec.TransformerSpec(encoder, decoder)
    words = _words(len(tokens))
    spec.register_source_vocabulary(words)
    spec.register_target_vocabulary(words)
    spec.config.layer_norm_epsilon = 1e-5
    spec.validate()
    spec.optimize(quantization=None)
    return spec


def _within(spec: Any, layer: Any) -> None:
    """Self-attention and feed-forward of a layer."""
    own = layer.within
    _norm(spec.self_attention.layer_norm, layer.attend.norm)
    _linear(spec.self_attention.linear[0], own.query, own.key_value)
    _linear(spec.self_attention.linear[1], own.out)
    _norm(spec.ffn.layer_norm, layer.change.norm)
    _linear(spec.ffn.linear_0, layer.feed[0])
    _linear(spec.ffn.linear_1, layer.feed[2])


def _linear(spec: Any, *parts: nn.Linear) -> None:
    spec.weight = np.concatenate([_array(part.weight) for part in parts])
    spec.bias = np.concatenate([_array(part.bias) for part in parts])


def _norm(spec: Any, norm: Any) -> None:
    spec.gamma, spec.beta = _array(norm.weight), _array(norm.bias)


def _array(weight: Tensor) -> Any:
    return weight.detach().cpu().numpy().copy()
