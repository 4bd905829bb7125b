from __future__ import annotations

import gzip
import hashlib
import importlib.util
import lzma
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from ltbench.errors import DataError
from ltbench_plugins.datasets import fashion_mini
from ltbench_plugins.datasets._content import fingerprint
from ltbench_plugins.datasets.fashion_mini import FILE, SHA256, FashionMini

ROOT = Path(__file__).resolve().parents[3]
NOWHERE = Path("nowhere")
"""The data set is embedded: no test here needs a data root."""


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_fashion_mini", ROOT / "scripts" / "make_fashion_mini.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def images():
    return FashionMini().load(NOWHERE)


def test_it_is_what_it_says(images) -> None:
    info = FashionMini().info(NOWHERE)
    assert images.train_images.shape == (6000, 1, 28, 28)
    assert images.test_images.shape == (2000, 1, 28, 28)
    assert images.train_images.dtype == images.test_images.dtype == np.uint8
    assert images.train_labels.dtype == images.test_labels.dtype == np.int64
    assert tuple(np.bincount(images.train_labels)) == info.train_counts == (600,) * 10
    assert tuple(np.bincount(images.test_labels)) == info.test_counts == (200,) * 10
    assert len(info.classes) == 10
    assert (info.channels, info.size) == (1, 28)


def test_mean_and_deviation_are_those_of_the_training_images(images) -> None:
    info = FashionMini().info(NOWHERE)
    pixels = images.train_images / 255
    assert pixels.mean() == pytest.approx(info.mean[0], abs=1e-6)
    assert pixels.std() == pytest.approx(info.std[0], abs=1e-6)


def test_images_and_labels_belong_together(images) -> None:
    # Two thirds down, trousers (1) are two legs with a gap; high up, a sneaker (7) has nothing and a pullover (2) has.
    mean = [images.train_images[images.train_labels == label].mean((0, 1)) for label in range(10)]
    assert mean[1][20, 2] < mean[1][20, 14] < 20 < 100 < mean[1][20, 10]
    assert mean[7][4, 10] < 5 < 100 < mean[2][4, 10]


def test_no_test_image_is_a_training_image(images) -> None:
    train = {image.tobytes() for image in images.train_images}
    assert not [image for image in images.test_images if image.tobytes() in train]


def test_content_has_one_digest_in_file_and_description(images) -> None:
    assert FashionMini().info(NOWHERE).fingerprint == SHA256[:32]
    pixels = images.train_images.tobytes() + images.test_images.tobytes()
    assert hashlib.sha256(pixels).hexdigest() == SHA256
    assert len(fingerprint(images)) == 32


def test_the_file_is_small_and_comes_with_its_licence_and_origin() -> None:
    assert FILE.stat().st_size < 3_100_000
    assert "Copyright (c) 2017 Zalando SE" in (FILE.parent / "LICENSE").read_text()
    assert SHA256 in (FILE.parent / "README.md").read_text()


def test_the_script_makes_the_file_from_the_debian_package(script) -> None:
    if not script.SOURCE.is_dir():
        pytest.skip(f"the Debian package dataset-fashion-mnist is not installed: no {script.SOURCE}")
    # Compared unpacked: another release of xz may pack the same bytes otherwise.
    assert script.content(script.SOURCE) == lzma.decompress(FILE.read_bytes())


def test_the_script_keeps_the_first_images_of_each_class(script, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(script, "CLASSES", 2)
    monkeypatch.setattr(script, "SIZE", 1)
    monkeypatch.setattr(script, "KEPT", {"train": 2, "t10k": 1})
    for split in ("train", "t10k"):
        pixels, labels = bytes([10, 11, 12, 13, 14]), bytes([1, 0, 1, 1, 0])
        head = b"".join(n.to_bytes(4, "big") for n in (2051, 5, 1, 1))
        (tmp_path / f"{split}-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + pixels))
        head = b"".join(n.to_bytes(4, "big") for n in (2049, 5))
        (tmp_path / f"{split}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(head + labels))
    assert list(script.content(tmp_path)) == [11, 14, 10, 12, 11, 10]


def flipped(content: bytes) -> bytes:
    return bytes([content[0] ^ 1]) + content[1:]


@pytest.mark.parametrize(
    "damage",
    [
        lambda packed: packed[: len(packed) // 2],
        lambda _: b"not an xz file",
        lambda _: b"",
        lambda packed: lzma.compress(flipped(lzma.decompress(packed)), preset=0),
        lambda packed: lzma.compress(lzma.decompress(packed)[:-784], preset=0),
    ],
    ids=["truncated", "foreign", "empty", "one pixel changed", "one image less"],
)
def test_a_damaged_file_is_refused(damage, tmp_path: Path, monkeypatch) -> None:
    file = tmp_path / "images.xz"
    file.write_bytes(damage(FILE.read_bytes()))
    monkeypatch.setattr(fashion_mini, "FILE", file)
    with pytest.raises(DataError, match=r"images\.xz"):
        FashionMini().load(NOWHERE)


def test_a_missing_file_is_told_where_it_should_be(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(fashion_mini, "FILE", tmp_path / "gone.xz")
    for ask in (FashionMini().locate, FashionMini().load):
        with pytest.raises(DataError, match=r"gone\.xz"):
            ask(NOWHERE)
    assert FashionMini().info(NOWHERE).classes[0] == "T-shirt/top"
