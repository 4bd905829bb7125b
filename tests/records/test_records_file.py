from __future__ import annotations

import json
import random
from pathlib import Path

import msgspec
import pytest
from synthetic import record

from ltbench.errors import RecordError
from ltbench.leaderboard.merge import merge_records_files
from ltbench.leaderboard.publish import add_records
from ltbench.records.agreement import result_digest
from ltbench.records.records_file import invalidate, read_records_file, records_file, write_records_file


def test_an_invalidation_withdraws_a_record_and_keeps_it_in_the_file(tmp_path: Path) -> None:
    good, bad = record(seed=0), record(seed=1)
    write_records_file(
        tmp_path / "r.jsonl", records_file([good, bad], [invalidate(bad, "trained on  the test set", "A. Maintainer")])
    )
    found = read_records_file(tmp_path / "r.jsonl")
    assert (found.records, found.withdrawn) == ([good], [bad])
    assert [(why.reason, why.by) for why in found.reasons(bad)] == [("trained on the test set", "A. Maintainer")]
    assert found.reasons(good) == []


def test_other_numbers_of_a_withdrawn_cell_count_again() -> None:
    bad, mended = record(scores={"top1": 0.9}), record(scores={"top1": 0.7})
    assert bad.id == mended.id
    found = records_file([bad, mended], [invalidate(bad, "a broken machine")])
    assert (found.records, found.withdrawn) == ([mended], [bad])


def test_the_same_numbers_from_another_machine_stay_withdrawn() -> None:
    here, there = record(), record(environment={"processor": "another"}, cost={"train_seconds": 1.0})
    assert here.digest != there.digest
    assert records_file([there], [invalidate(here, "wrong data")]).records == []


def test_the_order_of_records_and_invalidations_changes_no_byte(tmp_path: Path) -> None:
    records = [record({"mix": "mixup"}, seed=seed) for seed in range(4)] + [record(seed=seed) for seed in range(4)]
    why = [invalidate(records[1], "a"), invalidate(records[1], "b"), invalidate(records[5], "c")]
    write_records_file(tmp_path / "a", records_file(records, why))
    random.Random(3).shuffle(records)
    write_records_file(tmp_path / "b", records_file(records, [*why[::-1], why[0]]))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert len(read_records_file(tmp_path / "a").withdrawn) == 2


def test_a_changed_invalidation_is_named_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    write_records_file(path, records_file([record()], [invalidate(record(), "because")]))
    path.write_text(path.read_text().replace("because", "for fun"))
    with pytest.raises(RecordError, match="invalidation was changed") as caught:
        read_records_file(path)
    assert caught.value.where.endswith("r.jsonl, line 2")


@pytest.mark.parametrize(
    ("change", "expected"), [({"schema": 2}, "schema"), ({"reason": 3}, "reason"), ({"sauce": 1}, "sauce")]
)
def test_an_invalidation_off_the_schema_is_named(tmp_path: Path, change: dict, expected: str) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps(msgspec.to_builtins(invalidate(record(), "because")) | change))
    with pytest.raises(RecordError, match="does not follow the schema") as caught:
        read_records_file(path)
    assert expected in str(caught.value)


def test_an_invalidation_needs_a_reason() -> None:
    with pytest.raises(RecordError, match="needs a reason"):
        invalidate(record(), "  ")


def test_an_outcome_leaves_out_time_machine_and_versions_and_nothing_else() -> None:
    one = record()
    assert result_digest(one) == result_digest(
        record(cost={}, environment={"python": "3.14"}, plugins=[], curve={"loss": [1.0]})
    )
    for changed in (
        record(scores={"top1": 0.1}), record(seed=1), record(epochs=5), record(notes=["trust me"]),
        record(per_class={"accuracy": [0.4] * 10}), record(confusion=[[1] * 10] * 10),
        record(error={"type": "E", "message": "m"}),
    ):  # fmt: skip
        assert result_digest(changed) != result_digest(one)


def test_a_metric_that_is_added_to_a_withdrawn_record_does_not_bring_it_back() -> None:
    bad, full, mended = record(), record(scores={"gmean": 0.5}), record(scores={"top1": 0.2})
    word = invalidate(bad, "wrong data")
    for found in (
        records_file([bad, full], [word]),
        records_file([full, bad], [word]),
        add_records(records_file([bad], [word]), [full]),
    ):
        assert (found.records, found.withdrawn) == ([], [bad])
    assert records_file([full], [word], withdrawn_elsewhere=[bad]).all_records == []
    assert add_records(records_file([bad], [word]), [mended]).records == [mended]
    merged = merge_records_files(records_file([bad], [word]), {"a": records_file([full])}).records_file
    assert (merged.records, merged.withdrawn) == ([], [bad])
