from __future__ import annotations

import json
import random
from pathlib import Path

import msgspec
import pytest
import synthetic
from synthetic import raw, read_jsonl, record, technique, write_jsonl

from ltbench.core.spec import identity, label_of
from ltbench.errors import RecordError, StoreError
from ltbench.records.checked_record import check_identity
from ltbench.records.record import plain_values, seal, validate
from ltbench.records.written_files import write_atomic

ERROR = {"type": "JobFailed", "message": "loss 'x' returned NaN", "job": "abc", "log": "Traceback ..."}


def builtins(one: object) -> dict:
    return plain_values(one)


def test_a_sealed_record_is_valid_before_and_after_a_trip_through_json() -> None:
    sealed = seal(raw({"mix": "mixup"}))
    assert validate(sealed) == validate(json.loads(json.dumps(sealed)))
    check_identity(validate(sealed))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("metrics", "top1"), 0.71),
        (("per_class", "accuracy"), [0.6] * 10),
        (("setting", "seed"), 9),
        (("combination", "mix"), None),
        (("cost", "train_seconds"), 1.0),
        (("plugins",), []),
        (("notes",), ["trust me"]),
        (("digest",), ""),
    ],
)
def test_a_changed_field_is_noticed_by_the_digest(path: tuple[str, ...], value: object) -> None:
    sealed = seal(raw({"mix": "mixup"}))
    inner = sealed
    for key in path[:-1]:
        inner = inner[key]
    assert inner[path[-1]] != value
    inner[path[-1]] = value
    with pytest.raises(RecordError, match="was changed after it was created"):
        validate(sealed)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"id": "0" * 32}, "id is"),
        ({"setting": {"imbalance_factor": 10.0}}, "setting.imbalance_factor"),
        ({"setting": {"dataset": "cifar10"}}, "setting.dataset"),
        ({"setting": {"profile": "step"}}, "setting.profile"),
        ({"setting": {"model": "resnet32"}}, "setting.model"),
        ({"setting": {"seed": 4}}, "setting.seed"),
        ({"setting": {"subset_seed": 4}}, "setting.subset_seed"),
        ({"recipe": {"epochs": 200}}, "recipe"),
        ({"combination": {"mix": "cutmix"}}, "combination.mix"),
        ({"combination": {"view": "tta"}}, "combination.view"),
        ({"combination": {"posthoc": "la"}}, "combination.posthoc"),
        ({"protocol": "ltb9"}, "protocol"),
    ],
)
def test_a_record_that_was_sealed_again_after_a_change_contradicts_its_specs(changes: dict, field: str) -> None:
    changed = raw({"mix": "mixup"})
    for key, value in changes.items():
        changed[key] = {**changed[key], **value} if isinstance(value, dict) else value  # type: ignore[dict-item]
    with pytest.raises(RecordError, match=f"contradicts itself: {field}"):
        check_identity(validate(seal(changed)))


def test_changed_specs_change_the_identity() -> None:
    changed = raw()
    changed["fits"][0]["recipe"]["epochs"] = 300  # type: ignore[index]
    changed["recipe"] = changed["fits"][0]["recipe"]  # type: ignore[index]
    with pytest.raises(RecordError, match=r"spec\.members"):
        check_identity(validate(seal(changed)))
    changed["spec"]["members"] = [identity(changed["fits"][0])]  # type: ignore[index]
    with pytest.raises(RecordError, match="contradicts itself: id"):
        check_identity(validate(seal(changed)))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"metrics": {"top1": "high"}}, r"\$\.metrics\[\.\.\.\]"),
        ({"seting": 3}, "seting"),
        ({"status": "fine"}, r"\$\.status"),
        ({"plugins": [{"name": "x"}]}, r"\$\.plugins"),
    ],
)
def test_a_record_off_the_schema_names_the_field(changes: dict, expected: str) -> None:
    with pytest.raises(RecordError) as caught:
        validate(seal(raw()) | changes, "here, line 3")
    assert "here, line 3" in str(caught.value)
    import re

    assert re.search(expected, str(caught.value)), caught.value


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"status": "failed"}, "error is missing"),
        ({"confusion": [[1, 2], [3]]}, "not square"),
        ({"confusion": [[1, 0], [0, 1]]}, "10 numbers for 2 classes"),
        ({"combination": {"sauce": "hot"}}, "sauce"),
        ({"setting": raw()["setting"] | {"imbalance_factor": 0.5}}, "imbalance_factor"),  # type: ignore[operator]
    ],
)
def test_what_a_schema_cannot_say_is_checked_too(changes: dict, expected: str) -> None:
    with pytest.raises(RecordError, match=expected):
        seal(raw() | changes)


def with_held_out(**numbers: object) -> dict[str, object]:
    made = raw()
    made["fits"][0]["data"]["held_out"] = 0.1  # type: ignore[index]
    made["spec"]["members"] = [identity(made["fits"][0])]  # type: ignore[index]
    return made | {"id": identity(made["spec"]), "held_out": numbers}  # type: ignore[arg-type]


def test_numbers_on_held_out_images_have_a_prefix_and_are_checked_like_others() -> None:
    made = validate(seal(with_held_out(metrics={"top1": 0.6, "few": None})))
    check_identity(made)
    assert (made.score("held_out.top1"), made.score("top1")) == (0.6, 0.7)
    assert made.score("held_out.few") is None
    assert made.score("held_out.other") is None
    for numbers, problem in (
        ({"confusion": [[1, 2]]}, r"held_out\.confusion is not square"),
        ({"confusion": [[1, 2], [0, 1]], "per_class": {"f1": [1]}}, r"held_out\.per_class\.f1 has 1 numbers for 2"),
        ({"top1": 0.5}, "unknown field"),
    ):
        with pytest.raises(RecordError, match=problem):
            seal(with_held_out(**numbers))


def test_a_record_without_held_out_images_has_no_such_field() -> None:
    assert "held_out" not in seal(raw())
    assert record().score("held_out.top1") is None
    with pytest.raises(RecordError, match="no fit holds images out"):
        seal(raw() | {"held_out": {"metrics": {"top1": 0.5}}})


def test_another_schema_is_named_with_what_to_do() -> None:
    with pytest.raises(RecordError, match="has schema 3") as caught:
        validate(seal(raw()) | {"schema": 3})
    assert "version of ltbench" in caught.value.fix


def test_labels_are_written_as_on_a_command_line() -> None:
    assert label_of(technique("focal", gamma=1.5)) == "focal[gamma=1.5]"
    assert label_of(technique("regime", milestones=[1, 2], on=True)) == "regime[milestones=1+2,on=true]"
    assert label_of(technique("mixup")) == "mixup"
    assert label_of(None) == ""
    assert record({"view": "tta", "sampler": "cb_sampler"}).label == "cb_sampler + tta"
    assert record().label == "baseline"


# --- files ------------------------------------------------------------------------------------------------------


def test_a_file_is_the_same_bytes_whatever_the_order_of_the_records(tmp_path: Path) -> None:
    records = synthetic.suite(factors=(10.0, 100.0), seeds=(0, 1), names=("mixup", "tta"))
    write_jsonl(tmp_path / "a.jsonl", records)
    random.Random(1).shuffle(records)
    write_jsonl(tmp_path / "b.jsonl", records)
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()
    assert sorted(r.id for r in read_jsonl(tmp_path / "a.jsonl")) == sorted(r.id for r in records)


@pytest.mark.parametrize(
    ("line", "expected"),
    [(b"<<<<<<< HEAD", "not JSON"), (b"[1, 2]", "not a record"), (b'{"id": "x"', "not JSON"), (b'"\xff"', "not JSON")],
)
def test_a_bad_line_is_named(tmp_path: Path, line: bytes, expected: str) -> None:
    path = tmp_path / "records.jsonl"
    path.write_bytes(msgspec.json.encode(record()) + b"\n\n" + line + b"\n")
    with pytest.raises(RecordError, match=expected) as caught:
        read_jsonl(path)
    assert caught.value.where.endswith("records.jsonl, line 3")


def test_a_number_changed_in_a_file_is_named_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    write_jsonl(path, [record(seed=0), record(seed=1)])
    path.write_bytes(path.read_bytes().replace(b'"top1":0.7', b'"top1":0.8', 1))
    with pytest.raises(RecordError, match="digest") as caught:
        read_jsonl(path)
    assert "line 1" in str(caught.value)


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="cannot be read"):
        read_jsonl(tmp_path / "nowhere.jsonl")


def test_nothing_half_written_remains_where_writing_fails(tmp_path: Path) -> None:
    (tmp_path / "records.jsonl").mkdir()
    with pytest.raises(StoreError, match="cannot be written"):
        write_jsonl(tmp_path / "records.jsonl", [record()])
    assert [p.name for p in tmp_path.iterdir()] == ["records.jsonl"]


def test_writing_the_same_content_leaves_the_file_alone(tmp_path: Path) -> None:
    assert write_atomic(tmp_path / "a", b"x") is True
    before = (tmp_path / "a").stat().st_mtime_ns
    assert write_atomic(tmp_path / "a", b"x") is False
    assert (tmp_path / "a").stat().st_mtime_ns == before
