"""Folders of the library datasets: of save_to_disk, Parquet files, and images."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from plugins.datasets.small_photos import SIZES, write_photos
from support import import_path_env

from ltbench.errors import DataError
from ltbench_plugins.datasets import _folders
from ltbench_plugins.datasets.hf_folder import HfFolder
from ltbench_plugins.datasets.image_folder import ImageFolder

datasets = pytest.importorskip("datasets")


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_folders, "_described", {})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_photos(tmp_path)


def table(root: Path, *, bytes_: bool = True, label: object = None) -> datasets.Dataset:
    """The photos as a data set with images and class labels, in reverse order."""
    files = sorted((root / "photos").rglob("*.png"), reverse=True)
    images = [{"bytes": file.read_bytes() if bytes_ else None, "path": str(file)} for file in files]
    labels = [file.parent.name for file in files]
    feature = label or datasets.ClassLabel(names=list(SIZES))
    values = [feature.str2int(name) for name in labels] if label is None else labels
    features = datasets.Features({"image": datasets.Image(), "label": feature, "patient": datasets.Value("string")})
    groups = [f"P{n // 2}" for n in range(len(files))]
    return datasets.Dataset.from_dict({"image": images, "label": values, "patient": groups}, features=features)


@pytest.fixture
def expected(root: Path) -> str:
    """The fingerprint of the photos read as a folder."""
    files = sorted((root / "photos").rglob("*.png"), reverse=True)
    rows = [f"{file.relative_to(root / 'photos').as_posix()},P{n // 2}" for n, file in enumerate(files)]
    (root / "photos" / "g.csv").write_text("\n".join(["path,group", *rows]))
    return ImageFolder(path="photos", size=8, test_fraction=0.3, groups="g.csv").info(root).fingerprint


@pytest.mark.parametrize("bytes_", [True, False])
@pytest.mark.parametrize("layout", ["disk", "disk of splits", "parquet", "shards"])
def test_every_layout_is_the_same_data_set_as_the_folder(root: Path, expected: str, layout: str, bytes_: bool) -> None:
    data = table(root, bytes_=bytes_)
    if layout == "disk":
        data.save_to_disk(root / "hf")
    elif layout == "disk of splits":
        datasets.DatasetDict(train=data).save_to_disk(root / "hf")
    elif layout == "parquet":
        (root / "hf" / "data").mkdir(parents=True)
        data.to_parquet(root / "hf" / "data" / "train-00000-of-00001.parquet")
    else:
        data.save_to_disk(root / "hf", num_shards=3)
    info = HfFolder(path="hf", size=8, test_fraction=0.3).info(root)
    assert (info.classes, info.fingerprint) == (tuple(SIZES), expected)
    assert "classes are in the order of ClassLabel" in info.report.notes
    assert "columns: image from 'image', label from 'label', group from 'patient'" in info.report.notes
    assert HfFolder(path="hf", size=8, folds=2).locate(root) == f"{root / 'hf'} (11 images)"


def test_a_folder_of_images_is_one_too(root: Path) -> None:
    expected = ImageFolder(path="photos", size=8, test_fraction=0.3).info(root)
    info = HfFolder(path="photos", size=8, test_fraction=0.3).info(root)
    assert (info.classes, info.fingerprint) == (expected.classes, expected.fingerprint)


def test_splits_are_those_of_the_data_set(root: Path) -> None:
    data = table(root)
    parts = {
        "train": data.select(range(0, 11, 2)),
        "test": data.select(range(1, 11, 4)),
        "validation": data.select([3]),
    }
    datasets.DatasetDict(parts).save_to_disk(root / "hf")
    info = HfFolder(path="hf", size=8).info(root)
    assert (sum(info.train_counts), sum(info.test_counts), sum(info.valid_counts)) == (6, 3, 1)
    with pytest.raises(DataError, match="test_fraction would split it again"):
        HfFolder(path="hf", size=8, test_fraction=0.2).info(root)


@pytest.mark.parametrize("kind", ["string", "large_string"])
def test_labels_may_be_text(root: Path, expected: str, kind: str) -> None:
    table(root, label=datasets.Value(kind)).save_to_disk(root / "hf")
    info = HfFolder(path="hf", size=8, test_fraction=0.3).info(root)
    assert (info.classes, info.fingerprint) == (tuple(SIZES), expected)
    assert "classes are in the order of their names" in info.report.notes


def test_images_without_a_label_and_broken_ones_are_skipped(root: Path) -> None:
    data = table(root)
    rows = [
        row | {"label": -1 if n == 5 else row["label"]}
        for n, row in enumerate(data.cast_column("image", datasets.Image(decode=False)))
    ]
    rows[7]["image"] = {"bytes": b"", "path": None}
    rows[8]["image"] = {"bytes": (root / "photos" / "cat" / "0.png").read_bytes()[:30], "path": None}
    rows[9]["image"] = None
    datasets.Dataset.from_list(rows, features=data.features).save_to_disk(root / "hf")
    report = HfFolder(path="hf", size=8, folds=2).info(root).report
    reasons = {one.example: one.reason for one in report.skipped}
    assert reasons["5"] == "without a label"
    assert reasons["7"] == "unreadable: it is empty"
    assert reasons["8"].startswith("unreadable: ")
    assert reasons["9"] == "unreadable: it is empty"
    assert sum(report.train + report.test) == 7


def test_a_changed_image_is_noticed(root: Path) -> None:
    before = table(root)
    before.save_to_disk(root / "hf")
    dataset = HfFolder(path="hf", size=8, folds=2)
    first = dataset.info(root).fingerprint
    Image.new("RGB", (8, 8), (200, 7, 7)).save(root / "photos" / "cat" / "0.png")
    table(root).save_to_disk(root / "hf2")
    assert HfFolder(path="hf2", size=8, folds=2).info(root).fingerprint != first
    assert dataset.info(root).fingerprint == first


def test_columns_that_are_not_known_are_an_error(root: Path) -> None:
    data = table(root)
    data.rename_column("label", "what").cast_column("what", datasets.Value("int64")).save_to_disk(root / "hf")
    with pytest.raises(DataError, match=r"not known which column of .* has the labels") as error:
        HfFolder(path="hf", folds=2).info(root)
    assert "its columns are image, what, patient" in error.value.why
    assert HfFolder(path="hf", size=8, folds=2, label_column="what").info(root).classes == ("0", "1", "2")
    with pytest.raises(DataError, match="has no column 'wat'") as error:
        HfFolder(path="hf", size=8, folds=2, label_column="wat").info(root)
    assert error.value.fix == "label_column=what"
    with pytest.raises(DataError, match="is not of type Image"):
        HfFolder(path="hf", size=8, folds=2, label_column="what", image_column="patient").info(root)
    data.add_column(
        "two", data.cast_column("image", datasets.Image(decode=False))["image"], feature=datasets.Image()
    ).save_to_disk(root / "hf2")
    with pytest.raises(DataError, match=r"not known which column of .* has the images") as error:
        HfFolder(path="hf2", folds=2).info(root)
    assert error.value.fix == "image_column=image"


def test_splits_may_number_the_same_classes_in_another_order(root: Path) -> None:
    data, names = table(root), list(SIZES)
    test = data.select(range(1, 11, 4))
    texts = [names[label] for label in test["label"]]
    other = datasets.ClassLabel(names=names[::-1])
    same = HfFolder(path="same", size=8)
    datasets.DatasetDict(train=data, test=test).save_to_disk(root / "same")
    for kind, labels in ((other, [other.str2int(one) for one in texts]), (datasets.Value("string"), texts)):
        changed = test.remove_columns("label").add_column("label", labels, feature=kind)
        datasets.DatasetDict(train=data, test=changed).save_to_disk(root / f"hf {type(kind).__name__}")
        info = HfFolder(path=f"hf {type(kind).__name__}", size=8).info(root)
        assert (info.fingerprint, info.test_counts) == (same.info(root).fingerprint, same.info(root).test_counts)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda test: test.remove_columns("label"), "hf, test has no column 'label'"),
        (lambda test: test.remove_columns("image"), "hf, test has no column 'image'"),
        (lambda test: test.remove_columns("image").rename_column("patient", "image"), "'image' of .*hf, test is not of type Image"),
        (lambda test: test.remove_columns("label").add_column("label", [[0]] * len(test)), "'label' of .*hf, test has no single label"),
    ],
)  # fmt: skip
def test_splits_need_the_columns_of_the_first(root: Path, change: Callable[..., datasets.Dataset], says: str) -> None:
    data = table(root)
    datasets.DatasetDict(train=data, test=change(data.select([0, 5, 9]))).save_to_disk(root / "hf")
    with pytest.raises(DataError, match=says):
        HfFolder(path="hf", size=8).info(root)


def test_splits_need_no_groups(root: Path) -> None:
    data = table(root)
    datasets.DatasetDict(train=data, test=data.remove_columns("patient")).save_to_disk(root / "hf")
    assert sum(HfFolder(path="hf", size=8).info(root).test_counts) == 11


def test_one_of_several_configurations_is_asked_for(root: Path) -> None:
    data = table(root)
    for name, rows in (("all", range(11)), ("some", range(9))):
        data.select(rows).to_parquet(root / "hf" / name / "train.parquet")
    configs = "".join(f"- config_name: {name}\n  data_files: {name}/*.parquet\n" for name in ("all", "some"))
    (root / "hf" / "README.md").write_text(f"---\nconfigs:\n{configs}---\n")
    with pytest.raises(DataError, match="cannot be read by the library datasets") as error:
        HfFolder(path="hf", size=8, folds=2).info(root)
    assert "['all', 'some']" in error.value.why
    assert "\\x0a" not in error.value.why
    assert error.value.fix == "config=NAME"
    infos = [HfFolder(path="hf", size=8, folds=2, fold=0, config=name).info(root) for name in ("all", "some")]
    assert [sum(info.train_counts) for info in infos] == [11, 9]
    data.save_to_disk(root / "saved")
    with pytest.raises(DataError, match="has no configurations"):
        HfFolder(path="saved", size=8, folds=2, config="all").info(root)


def test_progress_of_the_library_is_drawn(root: Path) -> None:
    table(root).to_parquet(root / "hf" / "train.parquet")
    words = ["data", "hf_folder[path=hf,size=8,folds=2]", "--data-root", str(root)]
    done = subprocess.run([sys.executable, "-m", "ltbench", *words], capture_output=True, env=os.environ | import_path_env(), check=True)  # fmt: skip
    assert b"\rGenerating train split" in done.stderr
    assert b"\\r" not in done.stderr


def test_a_folder_that_is_no_data_set_is_an_error(root: Path) -> None:
    (root / "empty").mkdir()
    (root / "empty" / "x.bin").write_bytes(b"x")
    with pytest.raises(DataError, match="cannot be read by the library datasets"):
        HfFolder(path="empty", folds=2).info(root)
    with pytest.raises(DataError, match="there is no folder"):
        HfFolder(path="gone", folds=2).info(root)


def test_without_the_library_the_error_says_how_to_install_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table(root).save_to_disk(root / "hf")
    monkeypatch.setattr("ltbench_plugins.datasets.hf_folder._opened", {})
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match="needs the package datasets") as error:
        HfFolder(path="hf", folds=2).info(root)
    assert error.value.fix == 'pip install "ltbench[huggingface]"'


def test_nothing_of_the_images_is_kept_open(root: Path) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    table(root).save_to_disk(root / "hf")
    read = HfFolder(path="hf", size=8, folds=2)
    items = read.listing(root).items
    assert all(isinstance(item.content(), bytes) for item in items)


KILLED_READER = """
import multiprocessing, os, pathlib, sys

def read(root):
    from ltbench_plugins.datasets.hf_folder import HfFolder
    HfFolder(path="hf", size=8, test_fraction=0.3).listing(pathlib.Path(root))
    os._exit(0)  # without an end, as if it was killed

if __name__ == "__main__":
    reader = multiprocessing.get_context("spawn").Process(target=read, args=sys.argv[1:])
    reader.start()
    reader.join()
    sys.exit(reader.exitcode)
"""


def test_a_worker_that_is_killed_leaves_no_semaphore(root: Path) -> None:
    table(root).save_to_disk(root / "hf")
    (root / "reader.py").write_text(KILLED_READER)
    done = subprocess.run(
        [sys.executable, root / "reader.py", root], capture_output=True, text=True, env=os.environ | import_path_env(), check=True,
    )  # fmt: skip
    assert "leaked" not in done.stderr
