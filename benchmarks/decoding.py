"""Tokens per second of greedy and beam search, against CTranslate2 and transformers' `generate`.

    python benchmarks/decoding.py [--sources 16 256] [--device cuda]
    python benchmarks/decoding.py --grow

Needs peers in an environment of their own: pip install ctranslate2 transformers; one that is not
there is left out. CTranslate2 runs the same weights and must write the same tokens; learned
positions, which it cannot have beside rotary ones, are zero for that, but added all the same.
transformers runs a T5 of the same shape with random weights. Width 128, 3 + 3 layers, 4 heads of
32, a feed-forward part of 512, a vocabulary of 4,000; sources of 24 tokens, exactly 32 new ones,
float32, one thread. Rounds are interleaved; ratios are formed within a round; their geometric mean
and its 95 % interval count.

On CUDA decoding steps are captured and replayed; the same steps taken one by one are then one more
peer, and must write the same tokens.

--grow: how a step's time grows with the beam, the batch and the length.
"""

import argparse
import subprocess
import sys
import warnings
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any

import numpy as np
import torch
from ct2 import translator
from figures import Figure, card_of, compared, line, save, verdict
from rounds import Timed, interleaved, timed

from msbench import Batch, PeakMemory, Split, Task
from msbench.builtin.decoders.beam import beam
from msbench.builtin.generation import greedy
from msbench.builtin.models.encoder_decoder import EncoderDecoder

LENGTH, NEW, VOCABULARY, HEADS = 24, 32, 4000, 4
LONGEST = 512


def make_task(new: int, sources: int) -> Task:
    """Random sources, and room for `new` tokens."""
    draw = np.random.default_rng(0)
    source = draw.integers(4, VOCABULARY, (sources, LENGTH))
    target = draw.integers(4, VOCABULARY, (sources, new))
    split = Split(source, target, [""] * sources, target)
    return Task("seq2seq", split, split, split, None, "bleu", VOCABULARY)  # type: ignore[arg-type]


def model_and_batch(
    new: int, sources: int, device: str = "cpu", **options: Any
) -> tuple[EncoderDecoder, Batch]:
    """A model with random weights and without learned positions, and a batch."""
    task = make_task(new, sources)
    torch.manual_seed(0)
    shape = {"width": 128, "layers": 3, "heads": HEADS, **options}
    model = EncoderDecoder(task, **shape).eval().to(device)
    with torch.no_grad():
        for embedding in (model.source, model.target):
            embedding.positions.weight.zero_()
    place = lambda ids: torch.from_numpy(ids).to(device)  # noqa: E731
    return model, task.test.batch(np.arange(sources)).map(place)


def ours(decoder: Any, model: Any, batch: Batch) -> Callable[[], list[list[int]]]:
    return torch.inference_mode()(lambda: decoder(model, batch))


def theirs(beams: int, batch: Batch, device: str) -> Callable[[], Any]:
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(
        vocab_size=VOCABULARY,
        d_model=128,
        d_kv=32,
        d_ff=512,
        num_layers=3,
        num_decoder_layers=3,
        num_heads=HEADS,
        decoder_start_token_id=0,
    )
    torch.manual_seed(0)
    model = T5ForConditionalGeneration(config).eval().to(device)
    exactly = {"do_sample": False, "min_new_tokens": NEW, "max_new_tokens": NEW}
    generate = torch.inference_mode()(model.generate)
    return lambda: generate(batch.source, num_beams=beams, **exactly)


STEPWISE = "steps one by one"
WANTED = {"CTranslate2": 0.9, "transformers": 2.5, STEPWISE: 1.0}


def stepwise(model: Any) -> Any:
    """A copy whose decoding steps are not captured."""
    plain = deepcopy(model)
    del plain.replays
    return plain


def peers(
    model: Any, decoder: Any, beams: int, batch: Batch, device: str
) -> dict[str, Callable[[], Any]]:
    """Those that are installed and run on this device."""
    found: dict[str, Callable[[], Any]] = {}
    if device != "cpu":
        found[STEPWISE] = ours(decoder, stepwise(model), batch)
    try:
        found["transformers"] = theirs(beams, batch, device)
    except ImportError as error:
        print(f"transformers is left out: {error}")
    try:
        translate = translator(model, HEADS, device, "float32")
        found["CTranslate2"] = lambda: translate(batch.source, beams, NEW)
    except (ImportError, ValueError, RuntimeError) as error:  # it may lack this CUDA
        print(f"CTranslate2 is left out: {error}")
    return found


def compare(sources: int, rounds: int, device: str) -> list[Figure]:
    """The ratios of greedy and beam search to their peers."""
    model, batch = model_and_batch(NEW, sources, device)
    rows = []
    for name, decoder, beams in (
        ("greedy", partial(greedy, min_length=NEW), 1),
        ("beam 4", partial(beam, 4, length_penalty=0.0, min_length=NEW), 4),
    ):
        work = {
            "msbench": ours(decoder(), model, batch),
            **peers(model, decoder(), beams, batch, device),
        }
        for peer in work.keys() & {"CTranslate2", STEPWISE}:
            pairs = zip(work["msbench"](), work[peer](), strict=True)
            print(f"{np.mean([a == b for a, b in pairs]):.0%} of the outputs of {peer} are ours")
        seconds = interleaved({key: _timed(run, device) for key, run in work.items()}, rounds)
        speeds = {key: [sources * NEW / s for s in each] for key, each in seconds.items()}
        rows += [
            compared(
                "decoding",
                f"{name}, {sources} sources, beside {peer}",
                speeds["msbench"],
                peer,
                speeds[peer],
                "tokens/s",
                goal=f"at least {WANTED[peer]}",
                limit="starting a captured step, and reading the sources before it"
                if device != "cpu"
                else "matrix products by torch and oneDNN",
            )
            for peer in work
            if peer != "msbench"
        ]
    return rows


def _timed(run: Callable[[], Any], device: str) -> Timed:
    def work() -> None:
        run()
        if device == "cuda":
            torch.cuda.synchronize()

    return timed(work)


def grow(device: str) -> None:
    """Milliseconds a step as beam, batch and length grow."""
    for width in (1, 4, 16, 64):
        _print_step(f"beam {width:3d}, 16 sources", 16, width, 16, device)
    for sources in (8, 32, 128, 512):
        _print_step(f"greedy, {sources:3d} sources", sources, 1, 16, device)
    for new in (32, 128, LONGEST):
        _print_step(f"greedy, 16 sources, {new:3d} tokens", 16, 1, new, device)
    for new in (64, LONGEST):
        subprocess.run([sys.executable, __file__, "--one", str(new)], check=True)


def _print_step(name: str, sources: int, width: int, new: int, device: str) -> None:
    model, batch = model_and_batch(max(new, NEW), sources, device)
    decoder = beam(width, length_penalty=0.0, min_length=new, max_length=new)
    run = _timed(ours(decoder, model, batch), device)
    run()
    best = min(run() for _ in range(3))
    print(f"{name:32s} {1e3 * best / new:7.2f} ms a step   {sources * new / best:8,.0f} tokens/s")


def one(new: int) -> None:
    """Print time and memory of exactly `new` tokens by a beam of 64, alone in this process."""
    model, batch = model_and_batch(LONGEST, 1)
    wide = partial(beam, 64, length_penalty=0.0)
    ours(wide(min_length=8, max_length=8), model, batch)()
    memory = PeakMemory()
    seconds = timed(ours(wide(min_length=new, max_length=new), model, batch))()
    print(
        f"beam 64, 1 source, {new:3d} tokens    {1e3 * seconds / new:7.2f} ms a step   "
        f"{memory.bytes() / 1e6:4.0f} MB more"
    )


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sources", type=int, nargs="+", default=[16])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--grow", action="store_true")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        one(asked.one)
    elif asked.grow:
        grow(asked.device)
    else:
        rows = [row for n in asked.sources for row in compare(n, asked.rounds, asked.device)]
        for row in rows:
            print(line(row), verdict(row, WANTED[row["peer"]]))
        save("decoding", rows, card_of(asked.device))
