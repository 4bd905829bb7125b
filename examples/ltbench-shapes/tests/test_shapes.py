from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ltbench.errors import DataError
from ltbench.testing import checks

from ltbench_shapes import shapes
from ltbench_shapes.shapes import CLASSES, Shapes

test_shapes = checks(Shapes)


def mean_image(label: int) -> np.ndarray:
    images = Shapes().load(Path("unused"))
    return images.train_images[images.train_labels == label, 0].mean(0)


def test_the_images_are_those_that_the_digest_was_taken_of() -> None:
    images = Shapes().load(Path("unused"))
    assert images.train_images.shape == (1200, 1, 16, 16)
    assert images.test_images.shape == (300, 1, 16, 16)
    # Row 8 of the first ring, as it looks: its left and right sides.
    row = images.train_images[1000, 0, 8]
    assert [column for column in range(16) if row[column] > 90] == [4, 5, 13, 14]


def test_images_that_were_drawn_differently_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "TEST", 49)
    with pytest.raises(DataError, match="drawn differently"):
        Shapes().load(Path("unused"))


def test_mean_and_deviation_are_those_of_the_training_images() -> None:
    info, pixels = Shapes().info(Path("unused")), Shapes().load(Path("unused")).train_images / 255
    assert pixels.mean() == pytest.approx(info.mean[0], abs=1e-6)
    assert pixels.std() == pytest.approx(info.std[0], abs=1e-6)


def test_the_ground_is_the_mean_of_0_to_90() -> None:
    # No shape reaches the corners: 45, within five standard errors of 26.3 / sqrt(200).
    corners = [mean_image(label)[::15, ::15] for label in range(len(CLASSES))]
    np.testing.assert_allclose(corners, 45, atol=9.3)


def test_a_ring_is_dark_in_the_middle_and_a_disc_is_not() -> None:
    assert mean_image(CLASSES.index("ring"))[7:9, 7:9].max() < 100 < mean_image(CLASSES.index("disc"))[7:9, 7:9].min()
