from __future__ import annotations

import base64
import copy
import gzip
import zlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from synthetic import identified, raw, record

from ltbench.core.spec import canonical, identity
from ltbench.errors import RecordError
from ltbench.records import lines
from ltbench.records.lines import needing_all_lines, skipping_bad_lines
from ltbench.records.packed import unpack
from ltbench.records.record import decoded, plain_values, sealed, validate
from ltbench.records.records_file import parse_line, read_records_file
from ltbench.records.shape import Fit, Segment
from ltbench.stages import COMPANIONS, NETWORK_STAGES, PHASE_CHANGES, TRAINING_STAGES


def forged(*path: str | int, value: object) -> bytes:
    """Return a line with one field set, under the identity and digest of its content, as anybody can compute them."""
    made: Any = copy.deepcopy(plain_values(record()))
    inner = made
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    made["spec"]["members"] = [identity(fit) for fit in made["fits"]]
    made["id"] = identity(made["spec"])
    try:
        return canonical(sealed(decoded(msgspec.json.encode(made))))
    except msgspec.DecodeError:
        return msgspec.json.encode(made)


BOMB = "u8:" + base64.b64encode(zlib.compress(bytes(80_000_000), 9)).decode()
DEEP: object = "x"
for _ in range(900):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (("metrics", "top1"), 1e300, "metrics"),
        (("metrics", "top1"), 10**30, "metrics"),
        (("metrics", "x" * 10_000), 0.5, "metrics"),
        (("setting", "seed"), -1, "setting.seed"),
        (("combination", "loss"), "x" * 1_000_000, "combination"),
        (("environment", "python"), {"a": 1}, "environment"),
        (("curve", "loss"), "steep", "curve.loss"),
        (("curve",), {"epoch": [1.0, 2.0], "loss": [0.5]}, "different lengths"),
        (("data", "counts"), [-1] * 10, "data.counts"),
        (("data", "counts"), [1, 2], "data has 10 classes, 2 counts"),
        (("data", "report"), {"files": [1]}, "data.report"),
        (("fits", 0, "segments"), [], "segments"),
        (("fits", 0, "recipe", "lr"), {"a": 1}, "recipe"),
        (("fits", 0, "model", "params"), {"width": DEEP}, "params"),
        (("fits", 0, "data", "imbalance_factor"), 0.5, "imbalance_factor"),
        (("plugins", 0, "stage"), "nowhere", "plugins names nowhere"),
        (("plugins", 0, "name"), "a\x1b[31mb", "control characters in plugins.name"),
        (("combination", "loss"), "a\nb", "control characters in combination.loss"),
        (("notes",), ["x" * 100_000], "notes"),
        (("per_class", "accuracy"), BOMB, "packed numbers are more than"),
        (
            ("per_class", "accuracy"),
            "f8:" + base64.b64encode(zlib.compress(b"\0" * 6 + b"\xf0\x7f")).decode(),
            "infinite",
        ),
        (("confusion",), [[10**12]], "confusion"),
        (("confusion",), {"classes": 10**9, "gaps": "u1:eJwDAAAAAAE=", "images": "u1:eJwDAAAAAAE="}, "confusion"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_a_record_may_not_hold_is_named(path: tuple[str | int, ...], value: object, expected: str) -> None:
    with pytest.raises(RecordError, match="line 7") as error:
        parse_line(forged(*path, value=value), "records.jsonl, line 7")
    assert expected in str(error.value)


def test_a_fit_has_few_teachers_of_teachers() -> None:
    fit: Any = copy.deepcopy(record().fits[0])
    for _ in range(200):
        fit = copy.copy(record().fits[0]) | {"teacher": fit}
    with pytest.raises(RecordError, match="more than 4 teachers"):
        parse_line(forged("fits", value=[fit]), "x")


@pytest.mark.parametrize(
    "line", [b"[" * 1_000_000, b'{"id":' * 100_000, b'{"kind":"invalidation"}', b"\xff\xfe", b"null"]
)
def test_what_is_no_record_is_an_error(line: bytes) -> None:
    with pytest.raises(RecordError):
        parse_line(line, "x")


def test_an_array_is_decompressed_no_further_than_its_limit() -> None:
    with pytest.raises(ValueError, match="more than 10"):
        unpack(BOMB, 10)


def test_messages_and_names_of_classes_may_have_any_character() -> None:
    error = {"type": "E", "message": "\x1b[31mred\x1b[0m\u202e", "log": "a\r\nb"}
    for made in (record(error=error), record(classes=("a\nb", *"bcdefghij"))):
        assert parse_line(canonical(made), "x") == made


def damaged(folder: Path) -> Path:
    path = folder / "records.jsonl"
    good = [canonical(record(seed=seed)) for seed in (0, 1)]
    path.write_bytes(b"\n".join([good[0], b"<<<<<<< HEAD", good[1], b"{}", b""]))
    return path


def test_good_lines_are_used_and_bad_ones_named(tmp_path: Path) -> None:
    path = damaged(tmp_path)
    with pytest.raises(RecordError, match="line 2"):
        read_records_file(path)
    with skipping_bad_lines() as skipped:
        assert [one.setting.seed for one in read_records_file(path).records] == [0, 1]
        with needing_all_lines(), pytest.raises(RecordError):
            read_records_file(path)
    assert list(skipped) == [f"{path}, line 2", f"{path}, line 4"]


def test_of_a_line_that_is_too_long_only_a_part_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = canonical(record())
    monkeypatch.setattr(lines, "LONGEST", len(good))
    path = tmp_path / "records.jsonl"
    path.write_bytes(b"\n".join([b"x" * 5 * len(good), good, b"y" * 3 * len(good)]))
    assert max(len(line) for _, line in lines.read_lines(path)) <= len(good) + 2
    with skipping_bad_lines() as skipped:
        assert len(read_records_file(path).records) == 1
    assert list(skipped) == [f"{path}, line 1", f"{path}, line 3"]


def test_a_small_file_of_billions_of_lines_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl.gz"
    for content in (b"\n" * 200_000, b"x\n" * 200_000):
        path.write_bytes(gzip.compress(content))
        with pytest.raises(RecordError), skipping_bad_lines() as skipped:
            read_records_file(path)
        assert len(skipped) <= lines.MOST_BAD


def test_a_parameter_is_any_finite_number() -> None:
    made: Any = raw()
    made["fits"][0]["recipe"]["lr"] = made["recipe"]["lr"] = 1e30
    assert validate(identified(made)).recipe["lr"] == 1e30


def test_numbers_keep_their_kind() -> None:
    # 1 and 1.0 have different hashes.
    made = raw()
    made["fits"][0]["segments"][0]["lr_scale"] = 1  # type: ignore[index]
    line = forged("fits", value=made["fits"])
    assert b'"lr_scale":1,' in line
    assert b'"lr_scale":1,' in canonical(parse_line(line, "x"))


def test_the_schema_has_what_plans_write_into_specs() -> None:
    assert {*PHASE_CHANGES, *TRAINING_STAGES, *COMPANIONS} <= Segment.__annotations__.keys()
    assert {*NETWORK_STAGES} <= Fit.__annotations__.keys()
