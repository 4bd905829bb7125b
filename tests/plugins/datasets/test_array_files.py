"""Published data sets in files of arrays, from small files in their official formats."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from ltbench.engine.dataset_arrays import prepare
from ltbench.errors import DataError
from ltbench_plugins.datasets import _array_files
from ltbench_plugins.datasets._array_files import ArrayFiles
from ltbench_plugins.datasets._download import NotFetched
from ltbench_plugins.datasets._medmnist_sets import SETS
from ltbench_plugins.datasets.medmnist import Medmnist
from ltbench_plugins.datasets.stl10 import Stl10
from ltbench_plugins.datasets.svhn import Svhn

RNG = np.random.default_rng(0)
IMAGES = {
    split: RNG.integers(0, 256, (number, 3, 96, 96), np.uint8)
    for split, number in (("train", 30), ("test", 20), ("val", 10))
}
LABELS = {split: np.arange(len(images)) % 10 for split, images in IMAGES.items()}


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_array_files, "_described", {})


def svhn(folder: Path) -> None:
    for split in ("train", "test"):
        content = {
            "X": IMAGES[split][:, :, :32, :32].transpose(2, 3, 1, 0),
            "y": np.where(LABELS[split] == 0, 10, LABELS[split])[:, None],
        }
        savemat(folder / f"{split}_32x32.mat", content)


def stl10(folder: Path) -> None:
    for split in ("train", "test"):
        IMAGES[split].transpose(0, 1, 3, 2).tofile(folder / f"{split}_X.bin")
        (LABELS[split] + 1).astype(np.uint8).tofile(folder / f"{split}_y.bin")


def medmnist(folder: Path, *, grey: bool = False) -> None:
    arrays = {}
    for split in IMAGES:
        images = IMAGES[split][:, :, :28, :28].transpose(0, 2, 3, 1)
        arrays[f"{split}_images"] = images[..., 0] if grey else images
        arrays[f"{split}_labels"] = (LABELS[split] % 7)[:, None].astype(np.uint8)
    np.savez(folder / "dermamnist.npz", **arrays)


SIDES = {Svhn: 32, Stl10: 96, Medmnist: 28}


def digests(folder: Path, names: Mapping[str, str]) -> dict[str, str]:
    return {name: hashlib.md5((folder / name).read_bytes(), usedforsecurity=False).hexdigest() for name in names}


@pytest.fixture(params=[(Svhn, svhn), (Stl10, stl10), (Medmnist, medmnist)], ids=lambda pair: pair[0].name)
def dataset(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ArrayFiles:
    kind, write = request.param
    folder = kind().folder(tmp_path)
    folder.mkdir()
    write(folder)
    known = digests(folder, kind().files())
    monkeypatch.setattr(kind, "files", lambda _: known)
    return kind()


def test_images_and_labels_are_those_of_the_files(dataset: ArrayFiles, tmp_path: Path) -> None:
    info, images = dataset.info(tmp_path), prepare(dataset, tmp_path)
    side, classes = SIDES[type(dataset)], len(info.classes)
    for split in ("train", "test"):
        np.testing.assert_array_equal(getattr(images, f"{split}_images"), IMAGES[split][:, :, :side, :side])
        np.testing.assert_array_equal(getattr(images, f"{split}_labels"), LABELS[split] % classes)
    assert (info.channels, info.size, sum(info.train_counts), sum(info.test_counts)) == (3, side, 30, 20)
    assert sum(info.valid_counts) == (10 if isinstance(dataset, Medmnist) else 0)
    assert info.mean == pytest.approx((IMAGES["train"][:, :, :side, :side] / 255).mean((0, 2, 3)), abs=1e-6)
    assert info.std == pytest.approx((IMAGES["train"][:, :, :side, :side] / 255).std((0, 2, 3)), abs=1e-6)


def test_files_are_read_once_until_they_change(
    dataset: ArrayFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = dataset.info(tmp_path)
    _array_files._described.clear()
    with monkeypatch.context() as patch:
        patch.setattr(type(dataset), "read", lambda *_: pytest.fail("read again"))
        assert dataset.info(tmp_path) == info
        assert len(prepare(dataset, tmp_path).train_labels) == 30
    file = dataset.folder(tmp_path) / next(iter(dataset.files()))
    file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(DataError, match="is not the official file"):
        dataset.info(tmp_path)


def test_what_is_missing_is_named_with_what_to_do(dataset: ArrayFiles, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"{dataset.name} is missing") as error:
        dataset.info(tmp_path / "elsewhere")
    assert next(iter(dataset.files())) in error.value.why
    assert ("--download" in error.value.fix) == (dataset.name != "stl10")


def test_grey_images_have_one_channel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "medmnist").mkdir()
    medmnist(tmp_path / "medmnist", grey=True)
    known = digests(tmp_path / "medmnist", {"dermamnist.npz": ""})
    monkeypatch.setattr(Medmnist, "files", lambda _: known)
    assert Medmnist().info(tmp_path).channels == 1


def test_each_set_and_size_of_medmnist_has_a_file_of_its_own() -> None:
    files = [Medmnist(subset=name, size=size).files() for name in SETS for size in (28, 64, 128, 224)]
    assert len({name for each in files for name in each}) == len({md5 for each in files for md5 in each.values()}) == 44
    assert "organamnist_224.npz" in Medmnist(subset="organamnist", size=224).files()
    assert Medmnist().url("dermamnist.npz") == "https://zenodo.org/records/10519652/files/dermamnist.npz?download=1"


def test_missing_files_are_downloaded_where_there_is_a_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def fetch(url: str, md5: str, target: Path) -> None:
        asked.append((url, md5))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()

    monkeypatch.setattr(_array_files, "fetch", fetch)
    Svhn().fetch(tmp_path)
    Svhn().fetch(tmp_path)
    assert asked == [(Svhn.home + name, md5) for name, md5 in Svhn().files().items()]
    Stl10().fetch(tmp_path)
    assert len(asked) == 2

    def fail(*_: object) -> None:
        raise NotFetched("no network")

    monkeypatch.setattr(_array_files, "fetch", fail)
    with pytest.raises(DataError, match="could not be downloaded") as error:
        Medmnist().fetch(tmp_path)
    assert error.value.why == "no network"
