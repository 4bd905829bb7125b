"""Training and test images: by fraction, by fold, with copies and groups on one side."""

from __future__ import annotations

import shutil
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ltbench.engine.dataset_arrays import prepare
from ltbench.errors import DataError, ParameterError
from ltbench_plugins.datasets import _folders, _reading
from ltbench_plugins.datasets._division import draw, fold_of_each, units
from ltbench_plugins.datasets.image_folder import ImageFolder

FOLDS = 4
SIZES = {"common": 21, "middle": 8, "pair": 2, "rare": 3, "single": 1}


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_folders, "_described", {})


def paint(file: Path, level: int) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (level % 256, level // 256, 0)).save(file)
    return file


@pytest.fixture
def root(tmp_path: Path) -> Path:
    level = 0
    for name, number in SIZES.items():
        for n in range(number):
            paint(tmp_path / "photos" / name / f"{n}.png", level := level + 1)
    return tmp_path


def folded(fold: int, **fields: object) -> ImageFolder:
    return ImageFolder(path="photos", size=8, folds=FOLDS, fold=fold, **fields)


def shades(pixels: np.ndarray) -> list[int]:
    return (pixels[:, 0, 0, 0] + 256 * pixels[:, 1, 0, 0].astype(int)).tolist()


members = st.dictionaries(
    st.text("abcdef", min_size=1, max_size=3), st.lists(st.integers(0, 3), min_size=1, max_size=8), min_size=1
)


@given(members, st.floats(0.05, 0.9), st.integers(0, 5))
def test_every_class_keeps_training_images(of: dict[str, list[int]], fraction: float, seed: int) -> None:
    totals = Counter(label for labels in of.values() for label in labels)
    drawn = draw(of, fraction, seed)
    test = Counter(label for unit in drawn for label in of[unit])
    for label, total in totals.items():
        assert test[label] < total
    assert draw(dict(reversed(of.items())), fraction, seed) == drawn


@given(members, st.integers(2, 6), st.integers(0, 5))
def test_every_class_has_training_images_in_every_fold(of: dict[str, list[int]], folds: int, seed: int) -> None:
    fold_of = fold_of_each(of, folds, seed)
    assert set(fold_of) == set(of)
    for label in {label for labels in of.values() for label in labels}:
        own = {unit for unit, labels in of.items() if label in labels}
        for fold in range(1, folds + 1):
            assert any(fold_of[unit] != fold for unit in own)
        if len(own) == 1:
            assert fold_of[own.pop()] == 0
    assert fold_of_each(dict(reversed(of.items())), folds, seed) == fold_of


@given(st.lists(st.integers(2, 30), min_size=2, max_size=5), st.integers(2, 6), st.integers(0, 5))
def test_without_groups_folds_are_stratified(sizes: list[int], folds: int, seed: int) -> None:
    of = {f"{label}-{n}": [label] for label, size in enumerate(sizes) for n in range(size)}
    fold_of = fold_of_each(of, folds, seed)
    for label, size in enumerate(sizes):
        each = Counter(fold_of[f"{label}-{n}"] for n in range(size))
        assert set(each) <= set(range(1, folds + 1))
        assert max(each.values()) - min(each[fold] for fold in range(1, folds + 1)) <= 1
    in_all = Counter(fold_of.values())
    assert max(in_all.values()) - min(in_all[fold] for fold in range(1, folds + 1)) <= len(sizes)


def test_the_last_unit_of_a_class_is_for_training_if_every_fold_would_lose_a_class() -> None:
    # With two folds: units of class 0 in fold f, of class 1 in the other; the last one holds both.
    fold_of = fold_of_each({"a": [0, 0, 0], "b": [1, 1, 1], "c": [0, 1]}, 2, 0)
    assert sorted(fold_of.values()) == [0, 1, 2]
    assert fold_of["c"] == 0 or 0 in {fold_of["a"], fold_of["b"]}


def test_a_unit_joins_copies_and_groups() -> None:
    assert units(["x", "y", "x", "z"], ["", "", "", ""]) == ["x", "y", "x", "z"]
    # Image 1 is a copy of image 2, which is of the group of image 3.
    assert units(["x", "y", "y", "z", "w"], ["p", "q", "r", "r", "s"]) == ["p", "q", "q", "q", "s"]
    # A group that is called as a digest is another thing.
    assert len(set(units(["x", "y"], ["y", "z"]))) == 2


def test_every_image_is_in_one_test_fold_and_a_single_one_in_none(root: Path) -> None:
    tested: list[int] = []
    for fold in range(1, FOLDS + 1):
        dataset = folded(fold)
        info, images = dataset.info(root), dataset.load(root)
        train, test = shades(images.train_images), shades(images.test_images)
        assert sorted(train + test) == list(range(1, sum(SIZES.values()) + 1))
        assert all(info.train_counts)
        assert info.test_counts[4] == 0
        assert f"fold {fold} of {FOLDS} is the test set" in info.report.notes
        assert (
            "1 image for training in every fold, because a class has no others (copies and groups count as one)"
            in info.report.notes
        )
        tested += test
    assert sorted(tested) == list(range(1, sum(SIZES.values())))


def test_a_class_with_fewer_images_than_folds_is_tested_in_some(root: Path) -> None:
    counts = np.array([folded(fold).info(root).test_counts for fold in range(1, FOLDS + 1)])
    assert counts.sum(0).tolist() == [21, 8, 2, 3, 0]
    assert (counts.max(0) - counts.min(0) <= 1).all()
    untested = [name for name, number in zip(SIZES, counts[0], strict=True) if not number]
    (note,) = [note for note in folded(1).info(root).report.notes if note.startswith("classes without test images")]
    assert all(f"'{name}'" in note for name in untested)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were read."""
    names: list[str] = []

    def noted(source: Path, *args: object) -> object:
        names.append(source.name)
        return read_image(source, *args)

    read_image = _reading.read_image
    monkeypatch.setattr(_reading, "read_image", noted)
    return names


def test_files_are_read_once_for_all_divisions(root: Path, read: list[str]) -> None:
    first = folded(1).info(root)
    assert len(read) == sum(SIZES.values())
    fingerprints = {folded(fold).info(root).fingerprint for fold in range(1, FOLDS + 1)}
    fingerprints |= {ImageFolder(path="photos", size=8, test_fraction=0.3).info(root).fingerprint}
    assert len(read) == sum(SIZES.values())
    assert len(fingerprints) == FOLDS + 1
    assert first.fingerprint in fingerprints
    ImageFolder(path="photos", size=7, test_fraction=0.3).info(root)
    assert len(read) == 2 * sum(SIZES.values())


def test_only_new_and_changed_files_are_read(root: Path, read: list[str], tmp_path_factory) -> None:
    folded(1).info(root)
    read.clear()
    paint(root / "photos" / "rare" / "new.png", 900)
    paint(root / "photos" / "pair" / "0.png", 901)
    (root / "photos" / "common" / "3.png").unlink()
    (root / "photos" / "common" / "4.png").rename(root / "photos" / "common" / "renamed.png")
    info = folded(1).info(root)
    assert sorted(read) == ["0.png", "new.png", "renamed.png"]
    # As if all had been read at once.
    assert (
        ImageFolder(path=str(root / "photos"), size=8, folds=FOLDS).info(tmp_path_factory.mktemp("other")).fingerprint
        == info.fingerprint
    )
    assert len(list((root / "prepared").glob("files-*"))) == 1


def test_an_interrupted_reading_goes_on_where_it_was(
    root: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = ImageFolder(path="photos", size=8, folds=2).info(root)
    monkeypatch.setattr(_reading, "_CHUNK", 10)
    monkeypatch.setattr(_reading, "cores", lambda: 1)
    shutil.rmtree(root / "prepared")
    _folders._described.clear()
    read.clear()
    noted = _reading.read_image

    def interrupted(*args: object) -> object:
        if len(read) >= 20:
            raise KeyboardInterrupt
        return noted(*args)

    monkeypatch.setattr(_reading, "read_image", interrupted)
    with pytest.raises(KeyboardInterrupt):
        folded(1).info(root)
    assert len(read) == 20
    read.clear()
    monkeypatch.setattr(_reading, "read_image", noted)
    assert ImageFolder(path="photos", size=8, folds=2).info(root) == whole
    assert len(read) == sum(SIZES.values()) - 20


def test_damaged_images_are_read_again(root: Path, read: list[str]) -> None:
    before, other = folded(1).info(root), np.asarray(prepare(folded(2), root).train_images)
    (kept,) = (root / "prepared").glob("files-*")
    content = bytearray((kept / "pixels.bin").read_bytes())
    content[-1] ^= 1
    (kept / "pixels.bin").write_bytes(bytes(content))
    for file in (root / "prepared").glob("image_folder-*.json"):
        file.unlink()
    _folders._described.clear()
    read.clear()
    assert folded(1).info(root) == before
    assert len(read) == sum(SIZES.values()) % _reading._CHUNK  # the last chunk
    np.testing.assert_array_equal(prepare(folded(2), root).train_images, other)


def test_rows_of_another_reading_are_not_taken_for_those_of_an_earlier_one(root: Path) -> None:
    before = np.asarray(prepare(folded(1), root).train_images)
    (kept,) = (root / "prepared").glob("files-*")
    shutil.rmtree(kept)
    (root / "photos" / "common" / "0.png").rename(root / "photos" / "common" / "z.png")  # now the last of its class
    np.testing.assert_array_equal(prepare(folded(1), root).train_images, before)


@pytest.mark.parametrize("fields", [{"test_fraction": 0.4}, {"folds": 3}])
@pytest.mark.parametrize("split_seed", range(4))
def test_copies_are_on_one_side(root: Path, fields: dict[str, float], split_seed: int) -> None:
    for n in range(10):
        Image.open(root / "photos" / "common" / f"{n}.png").save(root / "photos" / "common" / f"again{n}.bmp")
    dataset = ImageFolder(path="photos", size=8, split_seed=split_seed, **fields)
    images = dataset.load(root)
    assert not set(shades(images.train_images)) & set(shades(images.test_images))
    assert "copies of other images: 10, on the same side of the split as these" in dataset.info(root).report.notes
    assert len(dataset.census(root).copies) == 10


def test_a_copy_in_another_class_is_named_and_on_the_same_side(root: Path) -> None:
    same = paint(root / "photos" / "rare" / "x.png", 1)
    paint(root / "photos" / "common" / "1 again.png", 1)
    dataset = ImageFolder(path="photos", size=8, test_fraction=0.4)
    assert not set(shades(dataset.load(root).train_images)) & set(shades(dataset.load(root).test_images))
    assert "1 image in more than one class: common/0.png and rare/x.png" in dataset.info(root).report.notes
    (copies,) = dataset.census(root).copies
    assert copies.labels == ("common", "common", "rare")
    assert copies.files == ("common/0.png", "common/1 again.png", f"rare/{same.name}")


def test_names_and_places_do_not_matter(root: Path) -> None:
    before = {fold: folded(fold).info(root).fingerprint for fold in (1, 2)}
    for number, file in enumerate(sorted((root / "photos").rglob("*.png"))):
        (file.parent / "deeper").mkdir(exist_ok=True)
        file.rename(file.parent / "deeper" / f"{number * 37 % 101}-{number}.png")
    (root / "photos").rename(root / "elsewhere")
    for fold, fingerprint in before.items():
        moved = ImageFolder(path="elsewhere", size=8, folds=FOLDS, fold=fold)
        assert moved.info(root).fingerprint == fingerprint
    paint(root / "elsewhere" / "common" / "deeper" / "more.png", 999)
    assert ImageFolder(path="elsewhere", size=8, folds=FOLDS).info(root).fingerprint != before[1]


def test_groups_stay_together_in_folds(root: Path) -> None:
    for n in range(12):
        for shot in range(3):
            paint(root / "moles" / ("bad" if n < 4 else "good") / f"P{n}_{shot}.png", 100 * n + shot)
    tested: list[str] = []
    for fold in (1, 2, 3):
        dataset = ImageFolder(path="moles", size=8, folds=3, fold=fold, groups=r"P\d+")
        read = dataset._read(dataset.listing(root), root)
        train, test = ({read.items[row].group for row in read.rows[split]} for split in ("train", "test"))
        assert not train & test
        tested += test
        assert all(dataset.info(root).test_counts)
    assert sorted(tested) == sorted(f"P{n}" for n in range(12))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"folds": 1}, "has one fold"),
        ({"folds": 3, "fold": 4}, "fold = 4, but 3 folds"),
        ({"fold": 2}, "fold = 2, but 0 folds"),
        ({"folds": 3, "test_fraction": 0.2}, "both test_fraction and folds"),
        ({"folds": 3, "test": "x"}, "both test = x and a split by folds"),
        ({"test_fraction": 0.2, "test": "x"}, "both test = x and a split by test_fraction"),
    ],
)
def test_folds_that_cannot_be_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        ImageFolder(path="photos", **fields)


def test_a_set_of_single_images_cannot_be_divided(tmp_path: Path) -> None:
    for n, name in enumerate("abc"):
        paint(tmp_path / "photos" / name / "0.png", n)
    with pytest.raises(DataError, match="has no test images") as error:
        folded(1).info(tmp_path)
    assert "no class has two images" in error.value.why


def test_training_sets_of_folds_overlap_as_they_should(root: Path) -> None:
    trains = [set(shades(folded(fold).load(root).train_images)) for fold in range(1, FOLDS + 1)]
    for one, other in pairwise(trains):
        assert one != other
