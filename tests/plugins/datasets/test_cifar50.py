"""CIFAR-100 reduced to 50 classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from plugins.checks import available

from ltbench import Images
from ltbench.errors import DataError
from ltbench_plugins.datasets._content import fingerprint, moments
from ltbench_plugins.datasets.cifar50 import Cifar50
from ltbench_plugins.datasets.cifar100 import CLASSES, Cifar100

FINE = CLASSES.split()


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> Images:
    """Put three training images and one test image of each of 100 classes in the place of CIFAR-100."""
    train, test = np.tile(np.arange(100), 3), np.arange(100)[::-1].copy()

    def pixels(labels: np.ndarray) -> np.ndarray:
        return np.broadcast_to(labels.astype(np.uint8)[:, None, None, None], (len(labels), 3, 32, 32)).copy()

    images = Images(train_images=pixels(train), train_labels=train, test_images=pixels(test), test_labels=test)
    monkeypatch.setattr(Cifar100, "load", lambda self, root: images)
    return images


def test_the_classes_are_the_even_fine_labels_halved(whole: Images) -> None:
    images = Cifar50().load(Path())
    assert images.train_labels.tolist() == list(range(50)) * 3
    assert images.train_images[:, 0, 0, 0].tolist() == list(range(0, 100, 2)) * 3
    assert images.test_labels.tolist() == list(range(49, -1, -1))
    assert np.array_equal(images.test_images[:, 0, 0, 0], 2 * images.test_labels)
    assert images.train_labels.dtype == np.int64
    assert Cifar50().info(Path()).classes == tuple(FINE[::2])


def test_the_first_classes_can_be_taken_instead(whole: Images) -> None:
    images = Cifar50(classes="first").load(Path())
    assert images.train_labels.tolist() == list(range(50)) * 3
    assert np.array_equal(images.train_images[:, 0, 0, 0], images.train_labels)
    assert Cifar50(classes="first").info(Path()).classes == tuple(FINE[:50])


def test_the_description_needs_no_file(tmp_path: Path) -> None:
    info = Cifar50().info(tmp_path)
    assert (info.train_counts, info.test_counts) == ((500,) * 50, (100,) * 50)
    assert (info.channels, info.size) == (3, 32)


def test_missing_files_are_those_of_cifar100(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cifar100 is missing"):
        Cifar50().locate(tmp_path)


@pytest.mark.data
@pytest.mark.parametrize("choice", ["even", "first"])
def test_real_images_are_what_the_description_says(choice: str) -> None:
    dataset = Cifar50(classes=choice)
    root = available(dataset)
    info, images = dataset.info(root), dataset.load(root)
    assert fingerprint(images) == info.fingerprint
    assert tuple(np.bincount(images.train_labels).tolist()) == info.train_counts
    assert tuple(np.bincount(images.test_labels).tolist()) == info.test_counts
    assert (info.mean, info.std) == moments(images.train_images)
