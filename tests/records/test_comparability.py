"""The key of a board is as wide as identity, but for what a leaderboard varies."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from synthetic import boards, identified, raw, read_jsonl, record

from ltbench.errors import RecordError
from ltbench.leaderboard.statistics.record_groups import distinguishing_names, group_records
from ltbench.records.comparability import MAY_DIFFER, board_key
from ltbench.records.record import Record


def changed(*path: str | int, value: object, techniques: dict[str, str] | None = None, **kwargs: Any) -> Record:
    """Return a record whose fit differs at `path`, under the identity that this gives it."""
    made = copy.deepcopy(raw(techniques or {}, **kwargs))
    inner: Any = made["fits"][0]  # type: ignore[index]
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return identified(made)


def technique(revision: int, name: str = "convnet", distribution: str = "ltbench") -> dict[str, object]:
    return {"name": name, "distribution": distribution, "revision": revision, "params": {}}


def leaves(spec: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, ...]]:
    for key, value in spec.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{prefix}.{key}")
        else:
            yield (*f"{prefix}.{key}".split("."),)


IN_THE_KEY = {
    "fit.data.dataset", "fit.data.fingerprint", "fit.data.held_out", "fit.data.profile", "fit.protocol", "fit.recipe", "cell.protocol",
}  # fmt: skip
"""By hand: whoever adds a part to the identity of a cell decides here whether rows may differ in it."""


def place_of(path: tuple[str, ...], places: set[str]) -> str | None:
    starts = (".".join(path[:length]) for length in range(len(path), 0, -1))
    return next((start for start in starts if start in places), None)


PUBLISHED = read_jsonl(Path(__file__).parents[2] / "leaderboards/quick/records.jsonl")


def test_every_part_of_identity_is_in_the_key_or_said_to_differ() -> None:
    paths = {path for r in PUBLISHED for fit in r.fits for path in leaves(fit, "fit")}
    paths |= {path for r in PUBLISHED for path in leaves(r.spec, "cell")}
    assert {".".join(path) for path in paths if place_of(path, IN_THE_KEY | set(MAY_DIFFER)) is None} == set()


def other(value: object) -> object:
    """Return another value of the same kind."""
    match value:
        case str():
            return f"{value}_changed"
        case bool():
            return not value
        case int() | float():
            return value + 1
        case dict():
            return value | {"changed": 1}
        case list():
            return [*value, value[-1]]
        case _:
            return {"ensemble": technique(1), "number": 1}


# Its kind is the same for every fit.
@pytest.mark.parametrize("path", sorted(set(leaves(PUBLISHED[0].fits[0], "fit")) - {("fit", "kind")}), ids=".".join)
def test_a_change_of_the_identity_changes_the_board_unless_rows_may_differ_in_it(path: tuple[str, ...]) -> None:
    before = PUBLISHED[0]
    made = raw()
    made["fits"] = copy.deepcopy(before.fits)
    made["recipe"] = made["fits"][0]["recipe"]  # type: ignore[index]
    inner = made["fits"][0]  # type: ignore[index]
    for key in path[1:-1]:
        inner = inner[key]
    inner[path[-1]] = other(inner[path[-1]])
    made["protocol"] = made["fits"][0]["protocol"]  # type: ignore[index]
    after = identified(made)
    labels_differ = path[1] == "model"  # compared by its label in the setting, and by component
    same = place_of(path, {name for name in MAY_DIFFER if name not in IN_THE_KEY}) is not None
    same_board = after.board[4:] == before.board[4:] and after.protocol == before.protocol
    assert same_board == (same or labels_differ)


def test_a_part_of_identity_that_nobody_has_classified_is_in_the_key() -> None:
    one = record()
    new = [one.fits[0] | {"new": 0.1}]
    assert board_key("ltb1", ("a", "b", "c"), {}, one.spec, new) != board_key(
        "ltb1", ("a", "b", "c"), {}, one.spec, one.fits
    )
    assert changed("data", "held_out", value=0.1).board != one.board


def test_a_field_that_the_schema_of_specs_lacks_is_named() -> None:
    for path in (("new",), ("data", "new"), ("segments", 0, "loss", "new")):
        with pytest.raises(RecordError, match=r"unknown field 'fits\.(data\.|segments\.loss\.)?new'"):
            changed(*path, value=0.1)


def test_rows_measured_on_other_images_are_in_tables_of_their_own() -> None:
    before = [record(seed=seed) for seed in (0, 1)]
    grown = [changed("data", "fingerprint", value="beef", techniques={"mix": "mixup"}, seed=seed) for seed in (0, 1)]
    found = boards([*before, *grown])
    assert [[row.label for row in board.tables[0].rows] for board in found] == [["mixup"], ["baseline"]]
    assert [row.delta for board in found for row in board.tables[0].rows] == [None, None]
    assert distinguishing_names(group_records([*before, *grown])) == ["images beef", "images f00d"]


def test_runs_of_one_row_on_other_images_are_not_pooled() -> None:
    found = boards([record(seed=0), changed("data", "fingerprint", value="beef", seed=0)])
    assert [board.tables[0].rows[0].n for board in found] == [1, 1]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("model",), technique(2)),
        (("segments", 0, "loss"), technique(2, "cross_entropy")),
        (("segments", 0, "sampler"), technique(1, "shuffle", "somebody")),
    ],
    ids=["model", "baseline of a stage", "another distribution"],
)
def test_a_table_has_one_version_of_each_technique(path: tuple[str | int, ...], value: object) -> None:
    old = [record({"mix": "mixup"}, seed=seed) for seed in (0, 1)] + [record(seed=1)]
    new = changed(*path, value=value, seed=0)
    (board,) = boards([*old, new])
    assert [(row.label, row.n) for row in board.tables[0].rows] == [("baseline", 1)]
    assert board.versions == 3


def test_a_new_revision_of_one_row_leaves_the_others() -> None:
    old = [record({"mix": "mixup"}, seed=seed) for seed in (0, 1)]
    new = changed("segments", 0, "mix", value=technique(2, "mixup"), techniques={"mix": "mixup"}, seed=0)
    (board,) = boards([*old, new, record(seed=0), record(seed=1)])
    assert {row.label: row.n for row in board.tables[0].rows} == {"baseline": 2, "mixup": 1}
    assert board.missing == [("mixup", 100.0, ((1, 1),))]
