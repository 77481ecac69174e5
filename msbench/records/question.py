"""The question that records answer: a file beside them, since it is of no trial.

A suite may ask another question of the same trials, so it is written again whenever the suite is
run; records without the file have defaults.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path

from msbench.errors import RecordsError, StoreError
from msbench.paths import write_whole
from msbench.spec import COMPARED, FIRST_LOOK, Question

FILE = "question.json"


def write_question(folder: Path, question: Question) -> None:
    """Keep the question in a folder of records; StoreError if it cannot be."""
    content = (json.dumps(asdict(question), indent=1) + "\n").encode()
    path = folder / FILE
    try:
        if not path.is_file() or path.read_bytes() != content:
            write_whole(path, content)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}") from error


def read_question(results: Path) -> Question | None:
    """The question beside records (a folder, or a file in it); None where there is none.

    Raises RecordsError for a file that holds none.
    """
    path = (results if results.is_dir() else results.parent) / FILE
    if not path.is_file():
        return None
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return _question(data)
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise RecordsError(f"{path}: is no question of a suite ({error})") from error


def joined(questions: Mapping[str, Question | None]) -> Question | None:
    """What several results ask together, by the name of each; None where none of them says.

    RecordsError if they contradict each other.
    """
    known = {name: each for name, each in questions.items() if each is not None}
    if not known:
        return None
    first, *others = known.values()
    for other in others:
        metric, decoder = {**first.metric, **other.metric}, {**first.decoder, **other.decoder}
        mine, its = (
            replace(each, metric={**metric, **each.metric}, decoder={**decoder, **each.decoder})
            for each in (first, other)
        )
        if mine != its:
            raise RecordsError(f"{', '.join(known)}: their suites ask different questions ({FILE})")
        first = mine
    return first


def seeds_looked_for(folder: Path) -> int:
    """Up to how many seeds were added to these records until there was a verdict; 0 if they were
    not, or if what is there is no question."""
    try:
        question = read_question(folder)
    except RecordsError:
        return 0
    return question.max_seeds if question else 0


def _question(data: object) -> Question:
    names = {each.name for each in fields(Question)}
    if not isinstance(data, dict) or not data.keys() <= names:
        raise ValueError(f"its keys are not among {', '.join(sorted(names))}")
    for key in ("metric", "decoder"):
        of_tasks = data.get(key, {})
        if not isinstance(of_tasks, dict) or not all(isinstance(v, str) for v in of_tasks.values()):
            raise ValueError(f"{key} is no table of names")
    names_only = all(isinstance(data.get(key, ""), str) for key in ("baseline", "tuned_by"))
    if data.get("by") not in (None, *COMPARED) or not names_only:
        raise ValueError("by is no axis, or baseline or tuned_by no name")
    most = data.get("max_seeds", 0)
    if type(most) is not int or not (most == 0 or FIRST_LOOK < most <= 100):
        raise ValueError("max_seeds is no number of seeds")
    return Question(**data)
