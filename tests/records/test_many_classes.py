"""Records of thousands of classes: small, exact, and never a dense matrix on the way."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import raw

from ltbench.confusion import Confusion
from ltbench.core.spec import canonical
from ltbench.errors import RecordError
from ltbench.records import numbers as numbers_module
from ltbench.records.agreement import agreement, result_digest, same_results
from ltbench.records.numbers import READABLE
from ltbench.records.packed import pack, pack_numbers, unpack, unpack_numbers
from ltbench.records.record import Record, seal, validate
from ltbench.records.records_file import parse_line, read_records_file, records_file, write_records_file

IMAGES = 20_000


def predictions(classes: int, images: int = IMAGES, right: float = 0.5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and predicted classes, int64 [N]."""
    rng = np.random.default_rng(seed)
    labels = np.arange(images) % classes
    return labels, np.where(rng.random(images) < right, labels, rng.integers(classes, size=images))


def made(classes: int, right: float = 0.5, *, images: int = IMAGES) -> dict[str, object]:
    """Return an unsealed record as the built-in metric gives it, with names as long as those of species."""
    confusion = Confusion.of(*predictions(classes, images, right), classes)
    epochs = np.linspace(1, 100, 100)
    curve = {name: (epochs / (3 + i)).tolist() for i, name in enumerate(("epoch", "loss", "lr", "accuracy"))}
    recall = confusion.recall()
    per_class = {"accuracy": recall, "recall": recall, "precision": confusion.precision(), "f1": confusion.f1(),
                 "support": confusion.support.tolist()}  # fmt: skip
    names = [f"Plantae speciosa {c:05d}" for c in range(classes)]
    return raw(classes=names, per_class=per_class, confusion=confusion, curve=curve)


def line(classes: int, right: float = 0.5) -> bytes:
    return canonical(seal(made(classes, right)))


@pytest.mark.parametrize("right", [0.0, 0.5, 0.95])
@pytest.mark.parametrize(("classes", "most"), [(8142, 1_000_000), (1000, 100_000)])
def test_a_record_of_many_classes_is_small(classes: int, most: int, right: float) -> None:
    assert len(line(classes, right)) < most


def test_the_hardest_record_of_imagenet_is_small() -> None:
    """50,000 test images, all predictions random: the most pairs of classes that there can be."""
    assert len(canonical(seal(made(1000, 0.0, images=50_000)))) < 100_000


def peak_of(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_no_dense_matrix_is_made_when_a_record_is_made_written_read_and_compared(tmp_path: Path) -> None:
    """A dense matrix of 8,142 classes would have 66 MB with a byte for each pair."""

    def work() -> None:
        one = validate(seal(made(8142)))
        write_records_file(tmp_path / "records.jsonl", records_file([one]))
        (back,) = read_records_file(tmp_path / "records.jsonl").records
        assert agreement(one, back).same
        assert result_digest(one) == result_digest(back)
        assert back.confusion == Confusion.of(*predictions(8142), 8142)
        assert back.score("expected_cost[costs=*>*:2]") == pytest.approx(2 - 2 * back.confusion.hits.sum() / IMAGES)

    work()  # imports are not counted
    assert peak_of(work) < 30_000_000


def test_reading_a_record_changes_no_byte_of_it(tmp_path: Path) -> None:
    for classes in (10, 50, 1000):
        text = line(classes)
        assert canonical(parse_line(text, "here")) == text


def dense(confusion: Confusion) -> np.ndarray:
    return np.array(list(confusion.rows()))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 400), st.floats(0, 1))
def test_every_number_equals_that_of_a_dense_matrix(seed: int, images: int, right: float) -> None:
    labels, predicted = predictions(50, images, right, seed)
    full = np.zeros((50, 50), dtype=np.int64)
    np.add.at(full, (labels, predicted), 1)
    found = Confusion.of(labels, predicted, 50)
    assert (dense(found) == full).all()
    assert found == Confusion.of_rows(full.tolist())
    hits, support, guesses = np.diag(full), full.sum(1), full.sum(0)
    assert (found.hits == hits).all()
    assert (found.support == support).all()
    assert (found.predictions == guesses).all()
    assert found.recall() == [int(h) / int(s) if s else None for h, s in zip(hits, support, strict=True)]
    assert found.precision() == [int(h) / int(g) if g else 0.0 for h, g in zip(hits, guesses, strict=True)]
    both = zip(hits, guesses, support, strict=True)
    assert found.f1() == [2 * int(h) / int(g + s) if g + s else 0.0 for h, g, s in both]
    assert (dense(Confusion.total([found, found])) == 2 * full).all()
    group_of = np.arange(50) // 7
    merged = np.array([[full[group_of == a][:, group_of == b].sum() for b in range(8)] for a in range(8)])
    assert (found.merged(group_of, 8) == merged).all()
    sealed = validate(
        seal(raw(classes=[str(c) for c in range(50)], confusion=full.tolist(), per_class={"f1": found.f1()}))
    )
    assert sealed.confusion == found
    assert sealed.per_class["f1"] == found.f1()


number = st.none() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(number, max_size=40) | st.lists(st.integers(0, 300)) | st.lists(st.none() | st.floats(0, 1)))
def test_packed_numbers_come_back_bit_by_bit(values: list[float | int | None]) -> None:
    stored = pack_numbers(values)
    back = unpack_numbers(stored) if isinstance(stored, str) else stored
    assert [(type(a), a, str(a)) for a in back] == [(type(b), b, str(b)) for b in values]


def test_integers_take_the_bytes_that_they_need() -> None:
    for most, kind in ((255, "u1"), (256, "u2"), (65_536, "u4"), (2**32, "u8")):
        text = pack(np.array([0, most]))
        assert text.startswith(f"{kind}:")
        assert unpack(text).tolist() == [0, most]
    assert unpack(pack(np.array([-1, 5]))).tolist() == [-1, 5]


# --- both forms --------------------------------------------------------------------------------------------------


def in_lists(fields: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> Record:
    """Return a record in the form of earlier versions: lists whatever the number of classes."""
    with monkeypatch.context() as patched:
        patched.setattr(numbers_module, "READABLE", 10**6)
        return validate(seal(fields))


@pytest.mark.parametrize("classes", [READABLE, READABLE + 1, 100, 1000])
def test_a_record_in_lists_and_a_packed_one_are_the_same_results(classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = in_lists(made(classes), monkeypatch), validate(seal(made(classes)))
    assert (old.schema, new.schema) == (1, 2 if classes > READABLE else 1)
    assert result_digest(old) == result_digest(new)
    assert same_results(old, new)
    assert agreement(old, new).within()
    assert old.confusion == new.confusion
    assert dict(old.per_class) == dict(new.per_class)
    assert old.score("expected_cost[costs=*>*:3]") == new.score("expected_cost[costs=*>*:3]")
    # It stays in the form in which it was read.
    text = canonical(old)
    assert canonical(parse_line(text, "here")) == text
    other = made(classes, 0.6)
    assert not same_results(old, validate(seal(other)))
    assert result_digest(in_lists(other, monkeypatch)) == result_digest(validate(seal(other)))


def test_a_few_classes_are_lists_that_people_can_read() -> None:
    sealed = seal(made(READABLE))
    assert sealed["schema"] == 1
    assert isinstance(sealed["confusion"], list)
    assert isinstance(sealed["per_class"]["f1"], list)


def test_what_follows_from_the_confusion_matrix_is_stored_once() -> None:
    fields = made(100)
    per_class = fields["per_class"]
    assert isinstance(per_class, dict)
    nearly = [*per_class["f1"][:-1], 0.125]
    sealed = seal(fields | {"per_class": per_class | {"nearly": nearly}})
    assert sealed["per_class"]["recall"] == sealed["per_class"]["accuracy"] == "confusion:recall"
    assert sealed["per_class"]["support"] == "confusion:support"
    assert sealed["per_class"]["nearly"].startswith("f8:")
    assert validate(sealed).per_class["nearly"] == nearly


def test_lines_that_were_formatted_anew_are_read_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    import json

    for one in (in_lists(made(50), monkeypatch), validate(seal(made(50)))):
        text = json.dumps(json.loads(canonical(one))).encode()
        assert text != canonical(one)
        assert parse_line(text, "here") == one


def damaged(field: str, value: object) -> dict[str, object]:
    sealed = seal(made(50))
    return sealed | {field: {**sealed[field], **value} if isinstance(value, dict) else value}


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("confusion", {"gaps": "u1:AAAA"}, "packed numbers cannot be read"),
        ("confusion", {"gaps": "x1:AAAA"}, "'x1' is not a type"),
        ("confusion", {"gaps": pack(np.array([1, 2]))}, "not a list of pairs of 50 classes"),
        ("confusion", {"classes": 3}, "not a list of pairs of 3 classes"),
        ("confusion", {"classes": "many"}, "Expected `int`"),
        ("confusion", {"rows": 3}, "unknown field"),
        ("confusion", [[1, 2], [3, 0.5]], "not square, or has numbers that are no counts"),
        ("confusion", [[1, -2], [3, 4]], "not square, or has numbers that are no counts"),
        ("confusion", [[]], "not square"),
        ("per_class", {"f1": pack_numbers([0.5] * 49)}, "49 numbers for 50 classes"),
        ("per_class", {"f1": "confusion:beauty"}, "'confusion' is not a type"),
        ("schema", 1, "a record with packed numbers has 2"),
    ],
)
def test_damaged_numbers_are_named(field: str, value: object, expected: str) -> None:
    with pytest.raises(RecordError) as caught:
        validate(damaged(field, value), "here, line 3")
    assert expected in str(caught.value)
    assert "here, line 3" in str(caught.value)
