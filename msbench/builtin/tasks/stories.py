"""A small world of stories with questions (generated), exact and unlimited, like bAbI.

Weston et al., 2015, Towards AI-complete question answering.
"""

import random

import msbench
from msbench import DataError, exact_f1, split, take

PEOPLE = ("Anna", "Ben", "Carla", "David", "Emma", "Felix", "Greta", "Hugo")
PLACES = ("kitchen", "garden", "office", "cellar", "hall", "library", "garage", "bedroom")
THINGS = ("apple", "book", "key", "lamp", "cup", "ball", "coat", "letter")


def stories_qa(
    sentences: int = 6, examples: int = 8000, vocabulary: int = 300, train_size: int = 0
) -> msbench.Task:
    """Where is she? Where is the key? How many things does he carry? Is she in the hall?

    sentences: length of a story. examples: different ones, all splits together. train_size:
    training stories, each size contained in the next; 0 = all.
    """
    if sentences < 2 or examples < 100:
        raise DataError(
            f"stories-qa needs 2 sentences and 100 examples or more, not {sentences}, {examples}"
        )
    draw = random.Random("msbench/stories")
    pairs: dict[str, str] = {}
    while len(pairs) < examples:
        text, answer = _story(draw, sentences)
        pairs.setdefault(text, answer)
    return msbench.translation(
        take(split(list(pairs.items())), train_size),
        score=exact_f1,
        metric="exact",
        max_source=16 * sentences,
        max_target=4,
        vocabulary=vocabulary,
    )


def _story(draw: random.Random, sentences: int) -> tuple[str, str]:
    """People go places, take things along and drop them; then one question."""
    people = draw.sample(PEOPLE, 3)
    things = draw.sample(THINGS, 3)
    place: dict[str, str] = {}
    holder: dict[str, str] = {}
    lies: dict[str, str] = {}
    story: list[str] = []
    while len(story) < sentences:
        who, what = draw.choice(people), draw.choice(things)
        if who not in place or draw.random() < 0.5:
            place[who] = draw.choice([p for p in PLACES if p != place.get(who)])
            story.append(f"{who} went to the {place[who]} .")
        elif holder.get(what) == who:
            del holder[what]
            lies[what] = place[who]
            story.append(f"{who} dropped the {what} .")
        elif what not in holder and lies.get(what, place[who]) == place[who]:
            holder[what] = who
            story.append(f"{who} took the {what} .")
    question, answer = _question(draw, place, holder, lies)
    return f"{' '.join(story)} {question}", answer


def _question(
    draw: random.Random, place: dict[str, str], holder: dict[str, str], lies: dict[str, str]
) -> tuple[str, str]:
    who = draw.choice(sorted(place))
    kind = draw.choice(("person", "thing", "count", "yes-no"))
    moved = sorted({*holder, *lies})
    if kind == "thing" and moved:
        what = draw.choice(moved)
        return f"where is the {what} ?", place[holder[what]] if what in holder else lies[what]
    if kind == "count":
        carried = sum(holder[what] == who for what in holder)
        return f"how many things does {who} carry ?", ("none", "one", "two", "three")[carried]
    if kind == "yes-no":
        asked = draw.choice([place[who], draw.choice(PLACES)])
        return f"is {who} in the {asked} ?", "yes" if asked == place[who] else "no"
    return f"where is {who} ?", place[who]
