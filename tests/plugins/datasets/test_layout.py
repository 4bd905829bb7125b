"""Folders of splits and classes: links, hidden files, names that collide, folders around the classes."""

from __future__ import annotations

import os
import time
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ltbench.engine.dataset_arrays import prepare
from ltbench.errors import DataError, ParameterError
from ltbench_plugins.datasets import _folders, _reading
from ltbench_plugins.datasets.image_folder import ImageFolder

PETS = ImageFolder(path="pets", size=8)
SPLIT = ImageFolder(path="pets", size=8, test_fraction=0.5)


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_folders, "_described", {})


def paint(path: Path, level: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (level, 0, 0)).save(path)
    return path


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """A folder with {train,test}/{cat,dog}: two images each."""
    for level, place in enumerate(("train/cat", "train/dog", "test/cat", "test/dog")):
        for number in range(2):
            paint(tmp_path / "pets" / place / f"{number}.png", 50 * level + 20 * number)
    return tmp_path / "pets"


def reasons(pets: Path) -> dict[str, str]:
    report = PETS.info(pets.parent).report
    return {one.place: f"{one.number} {one.reason}, {one.example}" for one in report.skipped}


# --- what is white ------------------------------------------------------------------------------------------------


def test_the_white_of_32_bits_is_the_highest_of_all_files_of_both_splits(pets: Path, registry) -> None:
    tops = dict(zip(sorted(pets.rglob("*.png")), (1000, 70001, 65539, 90000, 1234567, 3, 80000, 90001), strict=True))
    for file, top in tops.items():
        file.unlink()
        Image.fromarray(np.linspace(0, top, 64).astype(np.int32).reshape(8, 8)).save(file.with_suffix(".tif"))
    for number in range(25):
        (pets / "train" / "cat" / f"more{number}.tif").write_bytes((pets / "train" / "cat" / "0.tif").read_bytes())
    with pytest.raises(DataError, match="nor can 32 others") as error:
        PETS.info(pets.parent)
    label = error.value.fix.removeprefix("state the value of white, as in ")
    assert label == "image_folder[path=pets,size=8,white=1234567.0]"
    registry.parse(label, "dataset").info(pets.parent)
    (pets / "train" / "cat" / "0.tif").write_bytes(b"")
    with pytest.raises(DataError, match="nor can 31 others") as error:
        PETS.info(pets.parent)
    assert error.value.fix == f"state the value of white, as in {label}"
    with pytest.raises(DataError, match="nor can 32 others") as error:
        ImageFolder(path="pets", size=8, strict=True).info(pets.parent)
    assert error.value.fix.startswith("repair or remove the file; state the value of white, as in ")


# --- links --------------------------------------------------------------------------------------------------------


def test_links_to_folders_are_left_out_and_said(pets: Path) -> None:
    (pets / "train" / "cat" / "again").symlink_to(".")
    (pets / "train" / "dog" / "top").symlink_to("../..")
    outside = paint(pets.parent / "elsewhere" / "9.png").parent
    (pets / "test" / "dog" / "out").symlink_to(outside)
    assert PETS.info(pets.parent).train_counts == (2, 2)
    assert reasons(pets) == {
        "train/cat": "1 a link to a folder, again",
        "train/dog": "1 a link to a folder, top",
        "test/dog": "1 a link to a folder, out",
    }


def test_links_to_files_of_the_data_set_are_left_out_and_said(pets: Path) -> None:
    (pets / "train" / "cat" / "a.png").symlink_to("0.png")
    (pets / "train" / "dog" / "b.png").symlink_to(pets / "test" / "dog" / "0.png")
    (pets / "test" / "cat" / "c.png").symlink_to("../dog/1.png")
    info = PETS.info(pets.parent)
    assert (info.train_counts, info.test_counts) == ((2, 2), (2, 2))
    assert {text.partition(",")[0] for text in reasons(pets).values()} == {"1 a link to another file of the data set"}


def test_links_to_files_elsewhere_are_followed_once(pets: Path) -> None:
    # The layout of caches of downloads, and of splits made of links into one pool.
    pool = pets.parent / "pool"
    paint(pool / "1a2b.png", 200)
    (pets / "train" / "cat" / "7.png").symlink_to(pool / "1a2b.png")
    (pets / "train" / "cat" / "8.png").symlink_to(pool / "1a2b.png")
    assert PETS.info(pets.parent).train_counts == (3, 2)
    assert reasons(pets) == {"train/cat": "1 a second link to the same file, 8.png"}


def test_a_class_may_be_a_link_to_elsewhere(pets: Path) -> None:
    (pets / "train" / "cat").rename(pets.parent / "cats")
    (pets / "train" / "cat").symlink_to(pets.parent / "cats")
    assert PETS.info(pets.parent).train_counts == (2, 2)


@pytest.mark.parametrize("target", [".", "..", "dog", "../test/dog", "../.."])
def test_a_class_that_is_a_link_into_the_data_set_is_refused(pets: Path, target: str) -> None:
    (pets / "train" / "newt").symlink_to(target)
    with pytest.raises(DataError, match="newt is a link to another folder of the data set"):
        PETS.info(pets.parent)


def test_two_classes_that_are_one_folder_are_refused(pets: Path) -> None:
    paint(pets.parent / "newts" / "0.png")
    for name in ("eft", "newt"):
        (pets / "train" / name).symlink_to(pets.parent / "newts")
    with pytest.raises(DataError, match="are the same folder: 'eft' and 'newt'"):
        PETS.info(pets.parent)


@pytest.mark.parametrize("split", [None, 0.5])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_class_inside_another_elsewhere_is_refused(tmp_path: Path, split: float | None, reverse: bool) -> None:
    base = tmp_path / "pets" / ("train" if split is None else "")
    paint(tmp_path / "pool" / "a-b" / "0.png")
    for level, place in enumerate(("a/0.png", "a/sub/0.png")):
        paint(tmp_path / "pool" / place, 50 * level)
    for name, place in zip(
        ("cat", "dog", "newt"), ("a/sub", "a", "a-b") if reverse else ("a", "a/sub", "a-b"), strict=True
    ):
        base.mkdir(parents=True, exist_ok=True)
        (base / name).symlink_to(tmp_path / "pool" / place)
    if split is None:
        paint(tmp_path / "pets" / "test" / "cat" / "0.png")
    with pytest.raises(DataError, match=r"share images: the second is inside .*pool/a/") as error:
        (PETS if split is None else SPLIT).info(tmp_path)
    assert "cat" in error.value.why
    assert "dog" in error.value.why


@pytest.mark.parametrize("inside", ["", "sub"])
def test_a_class_of_both_splits_in_one_folder_elsewhere_is_refused(pets: Path, inside: str) -> None:
    (pets / "train" / "cat").rename(pets.parent / "cats")
    paint(pets.parent / "cats" / "sub" / "9.png", 200)
    (pets / "train" / "cat").symlink_to(pets.parent / "cats")
    (pets / "test" / "dog").rename(pets.parent / "away")
    (pets / "test" / "dog").symlink_to(pets.parent / "cats" / inside)
    with pytest.raises(DataError, match="are the same folder" if not inside else "share images") as error:
        PETS.info(pets.parent)
    assert "train/cat" in error.value.why
    assert "test/dog" in error.value.why


def test_a_file_elsewhere_counts_once_in_all_classes_and_splits(pets: Path) -> None:
    pool = paint(pets.parent / "pool" / "1a2b.png", 200)
    for place in ("train/cat", "train/dog", "test/cat"):
        (pets / place / "7.png").symlink_to(pool)
    info = PETS.info(pets.parent)
    assert (info.train_counts, info.test_counts) == ((3, 2), (2, 2))
    again = "1 a second link to the same file, 7.png"
    assert reasons(pets) == {"train/dog": again, "test/cat": again}


def test_a_file_elsewhere_counts_once_in_all_classes_that_are_split(pets: Path) -> None:
    pool = paint(pets.parent / "pool" / "1a2b.png", 200)
    for name in ("cat", "dog"):
        (pets / "train" / name / "7.png").symlink_to(pool)
    (pets / "test").rename(pets.parent / "away")
    listing = SPLIT.listing(pets.parent)
    assert [item.path.name for item in listing.items].count("7.png") == 1
    assert [(one.place, one.part.reason) for one in listing.skipped] == [
        ("train/dog", "a second link to the same file")
    ]


def test_a_link_into_a_class_that_is_elsewhere_is_left_out(pets: Path) -> None:
    (pets / "train" / "dog").rename(pets.parent / "dogs")
    (pets / "train" / "dog").symlink_to(pets.parent / "dogs")
    for place in ("train/cat", "test/dog"):
        (pets / place / "7.png").symlink_to(pets.parent / "dogs" / "0.png")
    info = PETS.info(pets.parent)
    assert (info.train_counts, info.test_counts) == ((2, 2), (2, 2))
    again = "1 a link to another file of the data set, 7.png"
    assert reasons(pets) == {"train/cat": again, "test/dog": again}


def test_splits_that_are_one_folder_are_refused(pets: Path) -> None:
    (pets / "test").rename(pets.parent / "away")
    (pets / "test").symlink_to("train")
    with pytest.raises(DataError, match="train/ and test/ are the same folder"):
        PETS.info(pets.parent)


def test_a_link_to_nothing_is_named(pets: Path) -> None:
    (pets / "train" / "cat" / "7.png").symlink_to("gone.png")
    assert reasons(pets) == {"train/cat": "1 unreadable: it is a broken link, 7.png"}
    with pytest.raises(DataError, match=r"7\.png cannot be read as an image") as error:
        ImageFolder(path="pets", size=8, strict=True).info(pets.parent)
    assert error.value.why == "it is a broken link"
    paint(pets / "train" / "cat" / "gone.png", 33)
    assert PETS.info(pets.parent).train_counts == (3, 2)  # noticed, though the link is the same


# --- files that are left out --------------------------------------------------------------------------------------


def test_everything_that_is_left_out_is_said_by_class(pets: Path) -> None:
    (pets / "train" / "cat" / "notes.txt").write_text("x")
    (pets / "train" / "cat" / "list.TXT").write_text("x")
    (pets / "train" / "cat" / "README").write_text("x")
    (pets / "train" / "cat" / ".DS_Store").write_text("x")
    paint(pets / "train" / "dog" / "@eaDir" / "thumb.jpg")
    paint(pets / "train" / ".ipynb_checkpoints" / "0.png")
    paint(pets / "__MACOSX" / "train" / "cat" / "0.png")
    paint(pets / "train" / "stray.png")
    os.mkfifo(pets / "test" / "cat" / "pipe.png")
    before = PETS.info(pets.parent)
    assert (before.train_counts, before.test_counts) == ((2, 2), (2, 2))
    assert before.report.files == (9, 5)
    assert [(one.place, one.number, one.reason, one.example) for one in before.report.skipped] == [
        (".", 1, "hidden or system file", "__MACOSX"),
        ("train", 1, "hidden or system file", ".ipynb_checkpoints"),
        ("train", 1, "an image outside the class folders", "stray.png"),
        ("train/cat", 1, "hidden or system file", ".DS_Store"),
        ("train/cat", 2, "of unsupported format (.txt)", "list.TXT"),
        ("train/cat", 1, "of unsupported format (no extension)", "README"),
        ("train/dog", 1, "hidden or system file", "@eaDir"),
        ("test/cat", 1, "not a regular file", "pipe.png"),
    ]


def test_what_is_left_out_is_told_anew_without_reading_again(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = PETS.info(pets.parent)
    monkeypatch.setattr(_reading, "read_image", lambda *_, **__: pytest.fail("read again"))
    (pets / "train" / "cat" / "notes.txt").write_text("x")
    after = PETS.info(pets.parent)
    assert after.fingerprint == before.fingerprint
    assert sum(after.report.files) == sum(before.report.files) + 1


@pytest.mark.parametrize("ending", ["jfif", "JPE", "PGM", "TIFF", "WebP", "bmp", "pbm", "jp2"])
def test_every_ending_of_a_format_that_is_read_counts(pets: Path, ending: str) -> None:
    image = Image.new("L", (8, 8), 99)
    image = image.convert("1") if ending == "pbm" else image
    image.save(pets / "train" / "cat" / f"9.{ending}")
    assert PETS.info(pets.parent).train_counts == (3, 2)


def test_files_whose_names_differ_in_case_both_count(pets: Path) -> None:
    paint(pets / "train" / "cat" / "A.png", 1)
    paint(pets / "train" / "cat" / "a.PNG", 2)
    assert PETS.info(pets.parent).train_counts == (4, 2)


@pytest.mark.parametrize("name", ["a b", "it's", 'say "x"', "[0]", "a,b", "a=b", "猫", "*", "-n", "new\nline"])
def test_names_of_files_and_classes_may_be_odd(pets: Path, name: str) -> None:
    for split in ("train", "test"):
        paint(pets / split / name / f"{name}.png")
    info = PETS.info(pets.parent)
    assert sum(info.train_counts) == 5
    assert all(one.isprintable() for one in info.classes)


def test_a_name_that_is_no_text_is_escaped(pets: Path) -> None:
    for raw in (b"caf\xe9", b"caf\xe8"):
        for split in ("train", "test"):
            folder = pets / split / os.fsdecode(raw)
            paint(pets.parent / "one.png").rename(paint(folder / "0.png").with_name(os.fsdecode(b"\xff.png")))
            (folder / os.fsdecode(b"\xfe.txt")).touch()
    info = PETS.info(pets.parent)
    assert info.classes == ("caf\\xe8", "caf\\xe9", "cat", "dog")
    assert "\\xfe.txt" in "\n".join(info.report.remarks())
    with pytest.raises(ParameterError, match="is not valid text"):
        ImageFolder(path=os.fsdecode(b"caf\xe9"))


def test_classes_with_one_name_are_refused(pets: Path) -> None:
    for form in ("NFC", "NFD"):
        paint(pets / "train" / unicodedata.normalize(form, "café") / "0.png")
    with pytest.raises(DataError, match="two class folders have the same name") as error:
        PETS.info(pets.parent)
    assert "'cafe\\u0301' and 'caf\\xe9'" in error.value.what


def test_classes_that_differ_in_case_are_two_and_said(pets: Path) -> None:
    # Letters are such classes.
    for split in ("train", "test"):
        paint(pets / split / "Cat" / "0.png")
    info = PETS.info(pets.parent)
    assert info.classes == ("Cat", "cat", "dog")
    assert "class names that differ only in case: 'Cat' and 'cat'" in info.report.notes


# --- splits -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("train", "test"), [("Train", "Test"), ("Training", "Testing"), ("TRAIN", "VAL")])
def test_splits_have_their_usual_names_in_any_case(pets: Path, train: str, test: str) -> None:
    (pets / "train").rename(pets / train)
    (pets / "test").rename(pets / test)
    assert PETS.info(pets.parent).classes == ("cat", "dog")


def test_two_folders_for_one_split_are_refused(pets: Path) -> None:
    paint(pets / "Train" / "cat" / "0.png")
    with pytest.raises(DataError, match="has both Train/ and train/"):
        PETS.info(pets.parent)


def test_folders_beside_the_splits_are_said(pets: Path) -> None:
    paint(pets / "extra" / "cat" / "0.png")
    paint(pets / "valid" / "cat" / "0.png", 200)
    paint(pets / "val" / "cat" / "0.png", 210)
    notes = PETS.info(pets.parent).report.notes
    assert "not read (next to train/ and test/ and val/): extra/, valid/" in notes


def test_a_validation_folder_beside_train_and_test_is_a_split_of_its_own(pets: Path) -> None:
    before = PETS.info(pets.parent)
    assert (before.valid_counts, before.valid_fingerprint) == ((), "")
    for number in range(3):
        paint(pets / "Validation" / "dog" / f"{number}.png", 200 + number)
    paint(pets / "Validation" / "dog" / "3.png", 70)  # as train/dog/1.png
    info = PETS.info(pets.parent)
    assert info.valid_counts == (0, 4)
    assert (info.train_counts, info.test_counts) == (before.train_counts, before.test_counts)
    # What is trained without it keeps its identity.
    assert (info.fingerprint, info.mean, info.std) == (before.fingerprint, before.mean, before.std)
    assert "1 of 4 validation images are identical to a training image" in info.report.notes
    assert info.report.summary() == "12 files: 4 for training, 4 for testing, 4 for validation, 0 left out"
    assert info.report.rows(info.classes)[1] == ["dog", "8", "2", "2", "4", "0"]
    images = prepare(PETS, pets.parent)
    assert images.valid_labels.tolist() == [1] * 4
    assert sorted(images.valid_images[:, 0, 0, 0]) == [70, 200, 201, 202]
    paint(pets / "Validation" / "dog" / "0.png", 222)
    _folders._described.clear()
    changed = PETS.info(pets.parent)
    assert changed.fingerprint == info.fingerprint
    assert changed.valid_fingerprint != info.valid_fingerprint


def test_a_validation_folder_without_test_is_the_test_split(pets: Path) -> None:
    (pets / "test").rename(pets / "val")
    info = PETS.info(pets.parent)
    assert (info.test_counts, info.valid_counts) == ((2, 2), ())


@pytest.mark.parametrize(
    ("place", "message"),
    [("val/bird", "has no class 'bird', which val/ has"), ("val", None)],
)
def test_a_validation_folder_has_the_classes_of_training(pets: Path, place: str, message: str | None) -> None:
    paint(pets / place / "0.png")
    if message is None:  # no folders of classes, so it is not a split
        assert PETS.info(pets.parent).valid_counts == ()
    else:
        with pytest.raises(DataError, match=message):
            PETS.info(pets.parent)


def test_train_alone_is_split_inside(pets: Path) -> None:
    (pets / "test").rename(pets.parent / "away")
    with pytest.raises(DataError, match="has no test/") as error:
        PETS.info(pets.parent)
    assert "image_folder[path=pets,size=8,test_fraction=0.2]" in error.value.fix
    info = SPLIT.info(pets.parent)
    assert (info.classes, info.train_counts, info.test_counts) == (("cat", "dog"), (1, 1), (1, 1))


def test_test_alone_is_refused(pets: Path) -> None:
    (pets / "train").rename(pets.parent / "away")
    for dataset in (PETS, SPLIT):
        with pytest.raises(DataError, match="has test/ and no train/"):
            dataset.info(pets.parent)


@pytest.mark.parametrize("dataset", [PETS, SPLIT])
def test_splits_without_folders_of_classes_are_no_classes(tmp_path: Path, dataset: ImageFolder) -> None:
    for split in ("train", "test"):
        for number in range(3):
            paint(tmp_path / "pets" / split / f"{number}.png", 50 * number)
    with pytest.raises(DataError, match="train has no folders; expected one for each class"):
        dataset.info(tmp_path)


def test_test_images_without_classes_are_refused_or_not_read(pets: Path) -> None:
    for folder in ("cat", "dog"):
        (pets / "test" / folder).rename(pets.parent / folder)
    paint(pets / "test" / "0.png")
    with pytest.raises(DataError, match="test has no folders") as error:
        PETS.info(pets.parent)
    assert "test_fraction=0.2" in error.value.fix
    assert "not read (next to train/): test/" in SPLIT.info(pets.parent).report.notes


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    for name in ("train", "plane"):
        for number in range(4):
            paint(tmp_path / "pets" / name / f"{number}.png", 20 * number)
    assert SPLIT.info(tmp_path).classes == ("plane", "train")


@pytest.mark.parametrize("inner", ["photos", "a/b/photos"])
@pytest.mark.parametrize("dataset", [PETS, SPLIT])
def test_a_folder_around_the_data_set_is_named(pets: Path, inner: str, dataset: ImageFolder) -> None:
    around = pets.parent / "around" / "pets" / inner
    around.parent.mkdir(parents=True)
    pets.rename(around)
    (around.parents[len(Path(inner).parts) - 1] / "README.txt").write_text("x")
    with pytest.raises(DataError, match="has one folder") as error:
        dataset.info(pets.parent / "around")
    assert f"path=pets/{inner}" in error.value.fix


def test_a_folder_around_the_classes_of_a_split_is_named(pets: Path) -> None:
    (pets / "test").rename(pets.parent / "away")
    (pets / "train").rename(pets / "photos")
    (pets / "train").mkdir()
    (pets / "photos").rename(pets / "train" / "photos")
    with pytest.raises(DataError, match="has one class, 'photos'") as error:
        SPLIT.info(pets.parent)
    assert "move the folders in photos/ up" in error.value.fix


def test_one_class_is_refused(tmp_path: Path) -> None:
    for number in range(3):
        paint(tmp_path / "pets" / "cat" / f"{number}.png", number)
    with pytest.raises(DataError, match="has one class, 'cat'"):
        SPLIT.info(tmp_path)


def test_classes_with_folders_alone_are_said(tmp_path: Path) -> None:
    for year in ("2020", "2021"):
        for name in ("cat", "dog"):
            paint(tmp_path / "pets" / year / name / "0.png", 99 * (year == "2020") + 9 * (name == "dog"))
    notes = SPLIT.info(tmp_path).report.notes
    assert any("all images are in subfolders of the class folders" in note and "/0.png" in note for note in notes)


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "pets").write_bytes(b"PK")
    with pytest.raises(DataError, match="is a file"):
        PETS.info(tmp_path)


# --- what is read -------------------------------------------------------------------------------------------------


def test_images_that_are_all_alike_are_refused(pets: Path) -> None:
    for file in pets.rglob("*.png"):
        Image.new("RGBA", (8, 8), (255, 255, 255, 0)).save(file)
    with pytest.raises(DataError, match=r"all training images .* look the same") as error:
        PETS.info(pets.parent)
    assert "background=0" in error.value.fix


@pytest.mark.parametrize("rule", [{"white": 4095}, {"background": 0}])
def test_a_rule_that_changes_nothing_is_refused(pets: Path, rule: dict[str, int]) -> None:
    with pytest.raises(DataError, match=f"{next(iter(rule))} of .* changes nothing"):
        ImageFolder(path="pets", size=8, **rule).info(pets.parent)


def test_images_in_both_splits_are_counted(pets: Path) -> None:
    paint(pets / "test" / "dog" / "copy.png", 0)
    notes = PETS.info(pets.parent).report.notes
    assert "1 of 5 test images are identical to a training image, 1 of them with another label" in notes


def test_ten_thousand_files_are_listed_in_a_fraction_of_a_second(tmp_path: Path) -> None:
    for label in range(10):
        folder = tmp_path / "pets" / f"{label}"
        folder.mkdir(parents=True)
        for number in range(1000):
            (folder / f"{number}.png").touch()
    started = time.process_time()
    listing = SPLIT.listing(tmp_path)
    listing.digest("x")
    assert len(listing.undivided) == 10_000
    assert time.process_time() - started < 1  # 0.1 s on a quiet core
