"""Names in tables: short, and no two alike."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from handmade import results
from hypothesis import given
from hypothesis import strategies as st

from msbench.compare.comparison import compare
from msbench.compare.labels import flattened, text_of
from msbench.compare.short_names import LONGEST, Name, names, unique
from msbench.plugins.registry import Registry
from msbench.records.record import record
from msbench.spec import Choice, Trial


def labels(own: str, parts: Sequence[Mapping[str, Any]]) -> list[str]:
    flat = [flattened(part) for part in parts]
    keys = dict.fromkeys(key for part in flat for key in part)
    differing = [key for key in keys if len({str(part.get(key)) for part in flat}) > 1]
    named = names(own, flat, differing)
    return [*unique(dict(zip(map(text_of, parts), named, strict=True))).values()]


def part(name: str, **options: Any) -> dict[str, Any]:
    return {"name": name, "options": options, "plugin": name, "version": "1", "label": ""}


def test_what_fits_is_told_whole() -> None:
    parts = [part("sam", rho=rho, base=part("adamw", lr=lr)) for rho, lr in ((1, 0.1), (2, 0.2))]
    assert labels("sam", parts) == ["sam (rho=1, base.lr=0.1)", "sam (rho=2, base.lr=0.2)"]
    assert labels("sam", parts[:1]) == ["sam"]


def test_what_does_not_fit_has_only_what_tells_it_apart() -> None:
    inside = [
        part("sample", count=count, temperature=0.7, top_p=0.95, seed=17) for count in (8, 16)
    ]
    inside += [part("beam", width=8, length_penalty=1.0, no_repeat=3)]
    assert labels("rerank", [part("rerank", of=each, by="score") for each in inside]) == [
        "rerank (of=sample(count=8))",
        "rerank (of=sample(count=16))",
        "rerank (of=beam)",
    ]


def test_long_values_are_cut_and_told_apart_by_a_hash() -> None:
    parts = [part("files", path=f"/data/{'deep/' * 20}{n}.csv") for n in range(2)]
    found = labels("files", parts)
    assert len(set(found)) == 2
    assert {len(label) for label in found} == {LONGEST}
    assert all(label.startswith("files (path=/data/deep/deep") for label in found)
    assert all(label[-6] == " " and label.endswith(")") for label in found)
    assert found == labels("files", parts[::-1])[::-1]


def test_the_name_of_a_suite_is_kept() -> None:
    own = "a long name that somebody has chosen for good reasons"
    assert labels(own, [part("sgd")]) == [own]
    both = labels(own, [part("sgd", lr=0.1), part("sgd", lr=0.2)])
    assert all(label.startswith(f"{own} (") and len(label) == len(own) + 7 for label in both)


def test_equal_names_of_unequal_parts_are_told_apart() -> None:
    one, two = labels("sgd", [part("sgd", k=1), part("sgd", k="1")])
    assert one != two
    clash = unique({"a": Name("sgd", "k=1"), "b": Name("sgd (k=1)"), "c": Name("sgd", "k=2")})
    assert clash["c"] == "sgd (k=2)"
    assert len(set(clash.values())) == 3


values = st.one_of(st.integers(0, 3), st.text("ab", max_size=60), st.just("-"))


def made(inside: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    options = st.dictionaries(st.sampled_from("xy"), inside)
    return st.builds(lambda name, given: part(name, **given), st.text("ab", max_size=30), options)


parts = st.recursive(made(values), made, max_leaves=4)


@given(st.lists(parts, min_size=1, max_size=8, unique_by=text_of))
def test_names_are_short_and_unique_whatever_parts_are(alike: list[dict[str, Any]]) -> None:
    found = labels("rerank", alike)
    assert len(set(found)) == len(alike)
    assert max(map(len, found)) <= LONGEST


def test_a_grid_of_nested_decoders_fits_into_tables(
    trials: list[Trial], registry: Registry
) -> None:
    decoders = [
        registry.resolve("decoder", Choice("rerank", {"decoder": of, "by": by}))
        for of, by in product(
            (Choice("sample"), Choice("beam", {"width": 4}), Choice("beam", {"width": 8})),
            ("score", "loss"),
        )
    ]
    trial = replace(trials[0], decoders=tuple(decoders))
    scores = [{"bleu": float(n)} for n in range(len(decoders))]
    rows = compare([record(trial, "ok", results=results(decoders, scores))]).accuracy
    assert {row["mean"] for row in rows} == {0.0, 1.0, 2.0, 3.0, 4.0, 5.0}
    assert len({row["decoder"] for row in rows}) == 6
    assert max(len(row["decoder"]) for row in rows) <= LONGEST
