"""Tokens per second of greedy and beam search, against transformers' `generate` on a like model.

    python benchmarks/decoding.py            (needs: pip install transformers)

Both models have width 128, 3 + 3 layers, 4 heads of 32, a feed-forward part of 512, a vocabulary
of 4,000 and random weights; 16 sources of 24 tokens, exactly 32 new ones, one thread. Rounds are
interleaved; the ratio is formed within the round, and the median of the rounds counts. `--long`
shows instead how time per step and memory grow with the length, up to 512 tokens of a beam of 64.
"""

import argparse
import subprocess
import sys
import warnings
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import torch
from rounds import Timed, interleaved, ratios, timed

from msbench import Batch, PeakMemory, Split, Task
from msbench.builtin.decoders.beam import beam
from msbench.builtin.generation import greedy
from msbench.builtin.models.encoder_decoder import EncoderDecoder

SOURCES, LENGTH, NEW, VOCABULARY = 16, 24, 32, 4000
LONGEST = 512


def make_task(new: int) -> Task:
    """Random sources, and room for `new` tokens."""
    draw = np.random.default_rng(0)
    source = draw.integers(4, VOCABULARY, (SOURCES, LENGTH))
    target = draw.integers(4, VOCABULARY, (SOURCES, new))
    split = Split(source, target, [""] * SOURCES, target)
    return Task("seq2seq", split, split, split, None, "bleu", VOCABULARY)  # type: ignore[arg-type]


def model_and_batch(new: int, sources: int) -> tuple[EncoderDecoder, Batch]:
    task = make_task(new)
    torch.manual_seed(0)
    model = EncoderDecoder(task, width=128, layers=3, heads=4).eval()
    return model, task.test.batch(np.arange(sources)).map(torch.from_numpy)


def ours(decoder: Any, model: Any, batch: Batch, new: int) -> Timed:
    def run() -> None:
        with torch.inference_mode():
            outputs = decoder(model, batch)
        assert all(len(output) == new for output in outputs)

    return timed(run)


def theirs(beams: int, batch: Batch) -> Timed:
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(
        vocab_size=VOCABULARY,
        d_model=128,
        d_kv=32,
        d_ff=512,
        num_layers=3,
        num_decoder_layers=3,
        num_heads=4,
        decoder_start_token_id=0,
    )
    torch.manual_seed(0)
    model = T5ForConditionalGeneration(config).eval()
    exactly = {"do_sample": False, "min_new_tokens": NEW, "max_new_tokens": NEW}
    generate = torch.inference_mode()(model.generate)
    return timed(lambda: generate(batch.source, num_beams=beams, **exactly))


def compare(rounds: int) -> None:
    """Print the ratios of greedy and beam search."""
    model, batch = model_and_batch(NEW, SOURCES)
    for name, decoder, beams in (
        ("greedy", greedy(min_length=NEW), 1),
        ("beam 4", beam(4, length_penalty=0.0, min_length=NEW), 4),
    ):
        pair = {"ours": ours(decoder, model, batch, NEW), "theirs": theirs(beams, batch)}
        seconds = interleaved(pair, rounds)
        mine, other = (median(SOURCES * NEW / each for each in s) for s in seconds.values())
        ratio = median(ratios(seconds["theirs"], seconds["ours"]))
        print(
            f"{name:8s} msbench {mine:7,.0f} tokens/s   transformers {other:7,.0f} tokens/s   "
            f"ratio {ratio:.2f}"
        )


def grow() -> None:
    """Beam search of width 64 over one source, each length in a process of its own."""
    for new in (64, 128, 256, LONGEST):
        subprocess.run([sys.executable, __file__, "--one", str(new)], check=True)


def one(new: int) -> None:
    """Print time and memory of exactly `new` tokens."""
    model, batch = model_and_batch(LONGEST, 1)
    wide = partial(beam, 64, length_penalty=0.0)
    ours(wide(min_length=8, max_length=8), model, batch, 8)()
    memory = PeakMemory()
    seconds = ours(wide(min_length=new, max_length=new), model, batch, new)()
    print(
        f"width 64, {new:3d} new tokens: {1e3 * seconds / new:5.2f} ms a step, "
        f"{memory.bytes() / 1e6:4.0f} MB more"
    )


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        one(asked.one)
    elif asked.long:
        grow()
    else:
        compare(asked.rounds)
