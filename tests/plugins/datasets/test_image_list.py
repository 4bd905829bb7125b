"""Lists of images: tables of every format, lists of lines, splits, classes, and what is wrong with them."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from plugins.datasets.small_photos import SIZES, write_photos

from ltbench.errors import DataError, ParameterError
from ltbench_plugins.datasets import _folders
from ltbench_plugins.datasets.image_folder import ImageFolder
from ltbench_plugins.datasets.image_list import ImageList

FORMATS = ["csv", "tsv", "txt", "jsonl", "json", "ndjson", "parquet", "semicolon.csv"]


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_folders, "_described", {})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_photos(tmp_path)


def rows(root: Path) -> list[dict[str, str]]:
    files = sorted((root / "photos").rglob("*.png"))
    return [{"path": file.relative_to(root / "photos").as_posix(), "label": file.parent.name} for file in files]


def write(file: Path, table: Sequence[dict[str, object]]) -> str:
    """Write a table in the format of its extension; return the name."""
    frame = pd.DataFrame(table)
    if file.suffix == ".parquet":
        frame.to_parquet(file)
    elif file.suffix == ".json":
        file.write_text(json.dumps(table, ensure_ascii=False))
    elif file.suffix in {".jsonl", ".ndjson"}:
        file.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in table) + "\n")
    else:
        sep = "\t" if file.suffix in {".tsv", ".txt"} else ";" if "semicolon" in file.name else ","
        frame.to_csv(file, sep=sep, index=False)
    return file.name


def test_every_format_is_the_same_data_set_as_the_folder(root: Path) -> None:
    expected = ImageFolder(path="photos", size=8, test_fraction=0.3).info(root)
    table = rows(root)
    lines = "".join(f"{row['path']} {row['label']}\n" for row in table)
    (root / "photos" / "lines.lst").write_text(lines)
    (root / "photos" / "bare.csv").write_text(lines.replace(" ", ","))
    names = [write(root / "photos" / f"list.{ending}", table[::-1]) for ending in FORMATS]
    for name in (*names, "lines.lst", "bare.csv"):
        info = ImageList(path=f"photos/{name}", size=8, test_fraction=0.3).info(root)
        assert (info.classes, info.fingerprint) == (expected.classes, expected.fingerprint), name
        assert (info.train_counts, info.test_counts) == (expected.train_counts, expected.test_counts)
        assert info.report.summary() == expected.report.summary()


def test_paths_are_relative_to_the_list_or_to_a_folder_or_absolute(root: Path) -> None:
    expected = ImageFolder(path="photos", size=8, folds=2).info(root).fingerprint
    name = write(root / "list.csv", rows(root))
    assert ImageList(path=name, images="photos", size=8, folds=2).info(root).fingerprint == expected
    absolute = [row | {"path": str(root / "photos" / row["path"])} for row in rows(root)]
    (root / "lists").mkdir()
    write(root / "lists" / "a.csv", absolute)
    info = ImageList(path="lists/a.csv", size=8, folds=2).info(root)
    assert info.fingerprint == expected
    windows = [{"path": f"./{row['path']}".replace("/", "\\"), "label": row["label"]} for row in rows(root)]
    write(root / "photos" / "w.csv", windows)
    assert ImageList(path="photos/w.csv", size=8, folds=2).info(root).fingerprint == expected
    stems = [row | {"path": row["path"].removesuffix(".png")} for row in rows(root)]
    write(root / "photos" / "s.csv", stems)
    assert ImageList(path="photos/s.csv", size=8, folds=2).info(root).fingerprint == expected


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize(
    "name", ["é ü.png", "it's.png", 'a "b" c.png', "猫.png", "a,b;c.png", "#1 %20.png", "a\u2028b.png"]
)
@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "lst"])
def test_names_may_be_odd(root: Path, form: str, name: str, ending: str) -> None:
    (root / "photos" / "cat" / "0.png").rename(root / "photos" / "cat" / unicodedata.normalize("NFC", name))
    table = [row | {"path": unicodedata.normalize(form, row["path"])} for row in rows(root)]
    if ending == "lst":
        (root / "photos" / "list.lst").write_text("".join(f"{row['path']} {row['label']}\n" for row in table))
    else:
        write(root / "photos" / f"list.{ending}", table)
    info = ImageList(path=f"photos/list.{ending}", size=8, test_fraction=0.3).info(root)
    assert sum(info.train_counts + info.test_counts) == 11
    assert not info.report.skipped


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("Filename", "Class"),
        ("image path", "category"),
        ("img-path", "species"),
        ("file_name", "dx"),
        ("image", "Target"),
    ],
)
def test_columns_are_known_by_their_names(root: Path, image: str, label: str) -> None:
    table = [{"index": n, image: row["path"], label: row["label"]} for n, row in enumerate(rows(root))]
    name = write(root / "photos" / "l.csv", table)
    info = ImageList(path=f"photos/{name}", size=8, test_fraction=0.3).info(root)
    assert info.classes == tuple(SIZES)
    assert f"columns: image from '{image}', label from '{label}'" in info.report.notes


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_columns_may_be_given(root: Path, ending: str) -> None:
    table = [{"path": "x", "where": row["path"], "label": "y", "what": row["label"]} for row in rows(root)]
    name = write(root / "photos" / f"l.{ending}", table)
    dataset = ImageList(path=f"photos/{name}", size=8, test_fraction=0.3, image_column="where", label_column="what")
    assert dataset.info(root).classes == tuple(SIZES)
    wrong = ImageList(path=f"photos/{name}", size=8, test_fraction=0.3, image_column="were")
    with pytest.raises(DataError, match="has no column 'were'") as error:
        wrong.info(root)
    assert error.value.fix == "image_column=where"


def test_the_other_columns_that_could_be_meant_are_said(root: Path) -> None:
    table = [{**row, "class_name": row["label"].upper()} for row in rows(root)]
    name = write(root / "photos" / "l.csv", table)
    notes = ImageList(path=f"photos/{name}", size=8, test_fraction=0.3).info(root).report.notes
    assert "columns not used: 'class_name' (label_column=class_name)" in notes


def test_a_list_without_known_columns_says_what_it_has(root: Path) -> None:
    name = write(root / "photos" / "l.csv", [{"a": row["path"], "b": row["label"]} for row in rows(root)])
    with pytest.raises(DataError, match="has no column of paths that is known by its name") as error:
        ImageList(path=f"photos/{name}", test_fraction=0.3).info(root)
    assert "its columns are a, b" in error.value.why
    assert error.value.fix == "image_column=NAME"


# --- classes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("missing", [False, True])
def test_integer_labels_are_in_the_order_of_their_numbers(root: Path, ending: str, missing: bool) -> None:
    ids = {"cat": 10, "dog": 2, "newt": 1}
    table: list[dict[str, object]] = [{"path": row["path"], "label": ids[row["label"]]} for row in rows(root)]
    if missing:
        table.append({"path": "cat/none.png", "label": None})  # pandas makes floats of such a column
    name = write(root / "photos" / f"l.{ending}", table)
    info = ImageList(path=f"photos/{name}", size=8, test_fraction=0.3).info(root)
    assert info.classes == ("1", "2", "10")
    assert info.train_counts == (1, 2, 4)
    assert "classes are in the order of their numbers: labels 1 to 10 are classes 0 to 2" in info.report.notes
    assert [one.reason for one in info.report.skipped] == ["a row without a label"] * missing


def test_folders_with_integer_names_are_in_the_order_of_their_numbers(root: Path) -> None:
    for name, number in (("cat", "10"), ("dog", "9"), ("newt", "007")):
        (root / "photos" / name).rename(root / "photos" / number)
    dataset = ImageFolder(path="photos", size=8, test_fraction=0.3)
    assert dataset.info(root).classes == ("007", "9", "10")
    assert dataset.census(root).order == "of their numbers"
    (root / "photos" / "9").rename(root / "photos" / "9b")
    assert dataset.info(root).classes == ("007", "10", "9b")
    assert "classes are in the order of their names" in dataset.info(root).report.notes


def imagenet_lt(root: Path) -> None:
    """Lists as those of ImageNet-LT: a path and the number of a class on each line."""
    ids = {"cat": 2, "dog": 0, "newt": 1}
    lines = [f"{row['path']} {ids[row['label']]}\n" for row in rows(root)]
    (root / "train.txt").write_text("".join(lines[::2]))
    (root / "test.txt").write_text("".join(lines[1::2]))


def test_a_list_of_test_images_and_names_of_classes(root: Path) -> None:
    imagenet_lt(root)
    lists = ImageList(path="train.txt", test="test.txt", images="photos", size=8)
    info = lists.info(root)
    assert (info.classes, info.train_counts, info.test_counts) == (("0", "1", "2"), (2, 1, 3), (1, 1, 3))
    assert "classes are in the order of their numbers" in info.report.notes
    (root / "classes.txt").write_text("dog\nnewt\ncat\n")
    named = ImageList(path="train.txt", test="test.txt", images="photos", classes="classes.txt", size=8).info(root)
    assert named.classes == ("dog", "newt", "cat")
    assert (named.fingerprint, named.test_counts) == (info.fingerprint, info.test_counts)
    assert "classes are in the order of the lines of classes.txt" in named.report.notes


def test_names_of_classes_decide_their_order(root: Path) -> None:
    name = write(root / "photos" / "l.csv", rows(root))
    (root / "classes.txt").write_text("newt\ncat\ndog\n")
    dataset = ImageList(path=f"photos/{name}", classes="classes.txt", size=8, test_fraction=0.3)
    assert dataset.info(root).classes == ("newt", "cat", "dog")
    (root / "classes.txt").write_text("newt\ncat\ndogs\n")
    with pytest.raises(DataError, match="has no class 'dog'") as error:
        dataset.info(root)
    assert error.value.fix == "is it 'dogs'?"
    (root / "classes.txt").write_text("newt\ncat\ndog\neft\n")
    with pytest.raises(DataError, match="no training image of class 'eft' can be read"):
        dataset.info(root)
    (root / "classes.txt").write_text("newt\ncat\ndog\ncat\n")
    with pytest.raises(DataError, match="names the class 'cat' twice"):
        dataset.info(root)


def test_a_class_of_the_test_list_alone_is_named_with_the_nearest(root: Path) -> None:
    table = rows(root)
    write(root / "photos" / "a.csv", table)
    write(root / "photos" / "b.csv", [row | {"label": row["label"].replace("dog", "Dog")} for row in table])
    with pytest.raises(DataError, match="no training image is of class 'Dog', which test images have") as error:
        ImageList(path="photos/a.csv", test="photos/b.csv").info(root)
    assert "is it 'dog'?" in error.value.fix


# --- splits and groups --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [("train", "val", "test"), ("Training", "VALIDATION", "Testing")])
def test_a_column_of_splits_is_used(root: Path, words: tuple[str, str, str]) -> None:
    table = [row | {"split": words[(0, 0, 2, 1)[n % 4]]} for n, row in enumerate(rows(root))]
    name = write(root / "photos" / "l.csv", table)
    info = ImageList(path=f"photos/{name}", size=8).info(root)
    assert (sum(info.train_counts), sum(info.valid_counts), sum(info.test_counts)) == (6, 2, 3)


def test_validation_images_are_the_test_set_if_there_are_no_others(root: Path) -> None:
    table = [row | {"subset": "val" if n % 3 == 2 else "train"} for n, row in enumerate(rows(root))]
    name = write(root / "photos" / "l.csv", table)
    info = ImageList(path=f"photos/{name}", size=8).info(root)
    assert (sum(info.test_counts), info.valid_counts) == (3, ())
    with pytest.raises(DataError, match="has test images, and folds would split it again") as error:
        ImageList(path=f"photos/{name}", size=8, folds=3).info(root)
    assert error.value.fix == f"image_list[path=photos/{name},size=8]"


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        (["train", "tset"], "has the split 'tset'"),
        (["test"], "has no training images"),
        (["train"], "says of no image that it is for testing"),
        (["val", "validation", "train"], "has two names for the split valid"),
    ],
)
def test_splits_that_cannot_be_are_refused(root: Path, splits: list[str], message: str) -> None:
    table = [row | {"split": splits[n % len(splits)]} for n, row in enumerate(rows(root))]
    name = write(root / "photos" / "l.csv", table)
    with pytest.raises(DataError, match=message):
        ImageList(path=f"photos/{name}").info(root)


def test_rows_that_are_not_used_are_listed(root: Path) -> None:
    table = [row | {"split": "test" if n % 3 == 2 else "train"} for n, row in enumerate(rows(root))]
    more = [table[0], {"path": "cat/1.png", "label": "", "split": "train"}, {"path": "", "label": "cat", "split": "train"},
            {"path": "cat/2.png", "label": "cat", "split": ""}]  # fmt: skip
    name = write(root / "photos" / "l.csv", [*table, *more])
    info = ImageList(path=f"photos/{name}", size=8).info(root)
    assert sorted((one.reason, one.number, one.example) for one in info.report.skipped) == [
        ("a repeated row", 1, "cat/0.png"),
        ("a row without a label", 1, "cat/1.png"),
        ("a row without a path", 1, "cat"),
        ("a row without a split", 1, "cat/2.png"),
    ]
    assert sum(info.train_counts + info.test_counts) == 11


@pytest.mark.parametrize("fields", [{"folds": 2}, {"test_fraction": 0.4}])
def test_a_column_of_groups_keeps_images_together(root: Path, fields: dict[str, float]) -> None:
    table = [row | {"patient": f"P{n // 2}"} for n, row in enumerate(rows(root))]
    dataset = ImageList(path="photos/" + write(root / "photos" / "l.csv", table), size=8, **fields)
    read = dataset._read(dataset.listing(root), root)
    train, test = ({read.items[row].group for row in read.rows[split]} for split in ("train", "test"))
    assert train | test == {f"P{n}" for n in range(6)}
    assert not train & test


def test_groups_on_both_sides_of_a_given_split_are_said(root: Path) -> None:
    table = [row | {"patient": f"P{n // 2}", "split": ("train", "test")[n % 2]} for n, row in enumerate(rows(root))]
    notes = ImageList(path="photos/" + write(root / "photos" / "l.csv", table), size=8).info(root).report.notes
    assert "5 of 5 groups of test images also have training images" in notes


# --- what is wrong with files -------------------------------------------------------------------------------------


def test_missing_files_are_skipped_and_a_class_of_them_is_an_error(root: Path) -> None:
    table = [*rows(root), {"path": "cat/77.png", "label": "cat"}, {"path": "cat/78.png", "label": "cat"}]
    dataset = ImageList(path="photos/" + write(root / "photos" / "l.csv", table), size=8, test_fraction=0.3)
    info = dataset.info(root)
    assert [(one.place, one.reason, one.example) for one in info.report.skipped] == [
        ("cat", "unreadable: there is no such file", "77.png"),
        ("cat", "unreadable: there is no such file", "78.png"),
    ]
    assert not info.report.warnings
    Image.new("RGB", (8, 8)).save(root / "photos" / "cat" / "77.png")
    assert len(dataset.info(root).report.skipped) == 1
    elsewhere = ImageList(path="photos/l.csv", images="prepared", size=8, test_fraction=0.3)
    with pytest.raises(DataError, match="no training image of class 'cat', 'dog', 'newt' can be read") as error:
        elsewhere.info(root)
    assert "prepared/cat/0.png: there is no such file" in error.value.why


def test_paths_that_no_system_has_are_skipped(root: Path) -> None:
    odd = ["x" * 300 + ".png", "é" * 300, "x" * 5000, "a\x00b.png", "https://example.org/1.png", ".", "..", "cat"]
    table = [*rows(root), *({"path": one, "label": "cat"} for one in odd)]
    write(root / "photos" / "l.jsonl", table)
    info = ImageList(path="photos/l.jsonl", size=8, test_fraction=0.3).info(root)
    assert sum(info.train_counts + info.test_counts) == 11
    assert len(info.report.skipped) == len(odd)


def test_a_class_that_is_mostly_unreadable_is_a_warning(root: Path) -> None:
    for n in (0, 1, 2, 3):
        (root / "photos" / "cat" / f"{n}.png").write_bytes(b"")
    dataset = ImageList(path="photos/" + write(root / "photos" / "l.csv", rows(root)), size=8, test_fraction=0.3)
    report = dataset.info(root).report
    assert report.warnings == ("4 of 6 files of class 'cat' are unreadable",)
    assert report.remarks()[0] == "WARNING: 4 of 6 files of class 'cat' are unreadable"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("l.csv", "path,label\n".encode("utf-16"), "cannot be read"),
        ("l.csv", b"", "has no column of paths"),
        ("l.csv", b"path,label\n", "no rows with a path and a label"),
        ("l.csv", b'path,label\n"' + b"x" * 200_000, "cannot be read"),
        ("l.jsonl", b'{"path": "a", "label": "b"}\n{"path": \n', "cannot be read"),
        ("l.jsonl", b"[1, 2]", "cannot be read"),
        ("l.jsonl", b"[" * 100_000, "cannot be read"),
        ("l.jsonl", b'{"path": ["a"], "label": "b"}\n', "has list in place of text or numbers"),
        ("l.lst", b"cat/0.png cat\ncat/1.png\n", "entry 2 is not a path and a label"),
        ("l.parquet", b"PAR1", "cannot be read"),
    ],
)  # fmt: skip
def test_a_list_that_cannot_be_read_says_why(root: Path, name: str, content: bytes, message: str) -> None:
    (root / "photos" / name).write_bytes(content)
    with pytest.raises(DataError, match=r"cannot be read|has ") as error:
        ImageList(path=f"photos/{name}", test_fraction=0.3).info(root)
    assert message in str(error.value)


def test_a_parquet_file_of_images_names_the_data_set_that_reads_it(root: Path) -> None:
    table = [{"image": {"bytes": (root / "photos" / row["path"]).read_bytes(), "path": None}, "label": row["label"]}
             for row in rows(root)]  # fmt: skip
    write(root / "photos" / "l.parquet", table)
    with pytest.raises(DataError, match="cannot be read") as error:
        ImageList(path="photos/l.parquet", test_fraction=0.3).info(root)
    assert error.value.fix == "hf_folder[path=FOLDER]"


def test_what_is_missing_is_said(root: Path) -> None:
    for dataset, message in (
        (ImageList(), "has no path"),
        (ImageList(path="photos"), "is a folder, not a list"),
        (ImageList(path="gone.csv"), "there is no file"),
    ):
        with pytest.raises(DataError, match=message):
            dataset.locate(root)
    name = write(root / "photos" / "l.csv", rows(root))
    with pytest.raises(DataError, match="there is no folder"):
        ImageList(path=f"photos/{name}", images="gone", test_fraction=0.2).info(root)


@pytest.mark.parametrize(
    "fields",
    [
        {"test": "b.csv", "folds": 3},
        {"test": "b.csv", "split_column": "s"},
        {"groups": "x", "group_column": "g", "folds": 3},
    ],
)
def test_parameters_that_contradict_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ParameterError):
        ImageList(path="a.csv", **fields)


def test_a_quote_in_a_table_is_read_as_csv_has_it(root: Path) -> None:
    table = io.StringIO()
    out = csv.writer(table)
    out.writerows([["path", "label"], *([row["path"], f'"{row["label"]}", ok'] for row in rows(root))])
    (root / "photos" / "l.csv").write_text(table.getvalue())
    assert ImageList(path="photos/l.csv", size=8, test_fraction=0.3).info(root).classes[0] == '"cat", ok'


def test_it_is_written_on_a_command_line_as_other_techniques_are(registry) -> None:
    dataset = registry.parse('image_list[path="a, b.csv",images=x,folds=5,fold=2]', "dataset")
    assert dataset == ImageList(path="a, b.csv", images="x", folds=5, fold=2)
    assert registry.parse(dataset.label) == dataset


def test_labels_are_those_of_the_images(root: Path) -> None:
    dataset = ImageList(path="photos/" + write(root / "photos" / "l.csv", rows(root)), size=8, folds=2)
    images = dataset.load(root)
    for pixels, labels in ((images.train_images, images.train_labels), (images.test_images, images.test_labels)):
        shades = pixels[:, 0, 0, 0] // 9
        assert (labels == np.digitize(shades, [7, 10])).all()


def test_fold_zero_is_every_image_for_training_and_testing(root: Path) -> None:
    photos = str(root / "photos")
    divided = ImageFolder(path=photos, size=8, test_fraction=0.3)
    whole = divided.whole()
    assert whole == ImageFolder(path=photos, size=8, folds=2, fold=0)
    assert ImageFolder(path=photos, size=8, folds=5, fold=2).whole() == ImageFolder(
        path=photos, size=8, folds=5, fold=0
    )
    info, images = whole.info(root), whole.load(root)
    assert info.train_counts == info.test_counts == tuple(SIZES.values())
    assert (np.asarray(images.train_images) == np.asarray(images.test_images)).all()
    assert info.report is not None
    assert (
        "all images are for training and are the test images, too, so accuracies say nothing about other images"
        in info.report.notes
    )
    assert not any("identical" in note or "without test images" in note for note in info.report.notes)
    census = whole.census(root)
    assert census is not None
    assert sum(census.counts) == sum(SIZES.values())


def test_images_that_nothing_divides_have_no_whole(root: Path) -> None:
    assert ImageFolder(path=str(root / "photos"), test=str(root / "photos")).whole() is None
    with pytest.raises(ParameterError, match="fold = 0, but 0 folds"):
        ImageFolder.parse({"path": "photos", "fold": 0})
