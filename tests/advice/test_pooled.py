"""Scores, differences and confusions of pooled predictions, by hand and against what chance gives."""

from __future__ import annotations

import numpy as np
import pytest

from ltbench.advice.growth import gains
from ltbench.advice.pooled import Pooled


def balanced(probabilities: np.ndarray, labels: np.ndarray) -> float:
    hits = probabilities.argmax(1) == labels
    return float(np.mean([hits[labels == label].mean() for label in np.unique(labels)]))


def table(decided: list[int], classes: int = 3) -> np.ndarray:
    return np.eye(classes)[decided]


LABELS = np.array([0, 0, 0, 0, 1, 1, 2])
ROWS = {
    "": [table([0, 0, 0, 0, 0, 1, 0]), table([0, 0, 0, 0, 0, 0, 0])],
    "better": [table([0, 0, 0, 1, 1, 1, 2])],
}


def test_scores_are_means_over_seeds() -> None:
    pooled = Pooled(LABELS, ROWS, balanced)
    assert pooled.score("").value == pytest.approx((0.5 + 1 / 3) / 2)
    assert pooled.score("better").value == pytest.approx((0.75 + 1 + 1) / 3)
    assert pooled.difference("better", "").value == pytest.approx((0.75 + 2) / 3 - (0.5 + 1 / 3) / 2)
    assert pooled.difference("", "").low == pooled.difference("", "").high == 0


def test_confusion_and_recalls_are_those_of_the_images() -> None:
    pooled = Pooled(LABELS, ROWS, balanced)
    assert list(pooled.confusion("").rows()) == [[8, 0, 0], [3, 1, 0], [2, 0, 0]]
    assert pooled.seeds("") == 2
    assert pooled.recalls("").tolist() == [1, 0.25, 0]
    absent = Pooled(LABELS[:6], {"": [ROWS[""][0][:6]]}, balanced)
    assert np.isnan(absent.recalls("")[2])


def test_resamples_keep_the_number_of_images_of_each_class() -> None:
    pooled = Pooled(LABELS, ROWS, balanced)
    for chosen in pooled._resamples():
        assert np.bincount(LABELS[chosen]).tolist() == [4, 2, 1]


def test_images_of_a_unit_are_drawn_together() -> None:
    units = np.array([0, 0, 1, 2, 3, 3, 3])
    pooled = Pooled(LABELS, ROWS, balanced, units)
    seen = set()
    for chosen in pooled._resamples():
        counts = np.bincount(chosen, minlength=7)
        assert counts[0] == counts[1]
        assert counts[4] == counts[5] == counts[6]
        # The unit with the rarest class is a stratum of its own.
        assert counts[4] == 1
        assert counts[0] + counts[2] + counts[3] == 3
        seen.add(int(counts[0]))
    assert seen == {0, 1, 2, 3}


def test_an_interval_is_wider_where_images_repeat_each_other() -> None:
    """A hundred images, each five times, tell as much as a hundred; taken for five hundred, less than half the width."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(2), 250)
    right = np.repeat(rng.random(100) < 0.7, 5)
    rows = {"": [table(np.where(right, labels, 1 - labels).tolist(), 2)]}
    alone, together = (
        Pooled(labels, rows, balanced, units).score("") for units in (None, np.repeat(np.arange(100), 5))
    )
    assert together.high - together.low == pytest.approx(5**0.5 * (alone.high - alone.low), rel=0.25)


def test_an_interval_covers_no_difference_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), [80, 40, 20, 20])
    covered = 0
    for _ in range(40):
        rows = {
            name: [table(np.where(rng.random(160) < 0.7, labels, (labels + 1) % 4).tolist(), 4)] for name in ("a", "b")
        }
        found = Pooled(labels, rows, balanced).difference("a", "b")
        covered += found.low <= 0 <= found.high
    # 38 are expected; fewer than 30 of 40 have a probability below 1e-4.
    assert covered >= 30


def test_gains_follow_the_power_law_of_the_errors() -> None:
    counts = [np.array([25, 25]), np.array([50, 50]), np.array([100, 100])]
    errors = np.array([[0.4, 0.2], [0.2, 0.2], [0.1, 0.2]])  # exponents 1 and 0
    found = gains(counts, list(1 - errors), np.array([100_000, 100_000]), [100, 100])
    assert [gain.label for gain in found] == [0, 1]
    assert found[0].more == pytest.approx(0.05, abs=0.003)
    assert found[1].more == pytest.approx(0.0, abs=0.005)


def test_gains_are_those_of_twice_the_images_that_there_are() -> None:
    # Three folds train on two thirds of 150 images: the error 0.1 with 100 is 1 / 15 with all of them, and half of that with twice as many.
    counts = [np.array([25]), np.array([50]), np.array([100])]
    (found,) = gains(counts, [np.array([recall]) for recall in (0.6, 0.8, 0.9)], np.array([100_000]), [150])
    assert found.images == 150
    assert found.more == pytest.approx(1 / 30, abs=0.002)


def test_gains_of_rare_classes_lean_on_the_others() -> None:
    counts = [np.array([50, 50, 2]), np.array([100, 100, 4])]
    recalls = [np.array([0.6, 0.6, 1.0]), np.array([0.8, 0.8, 0.5])]  # the rare class got worse by chance
    found = {gain.label: gain for gain in gains(counts, recalls, np.array([1000, 1000, 2]), [100, 100, 4])}
    assert found[2].more > 0
    assert found[2].images == 4


def test_a_class_without_test_images_has_no_gain() -> None:
    counts = [np.array([5, 5]), np.array([10, 10])]
    assert [gain.label for gain in gains(counts, [np.array([0.5, np.nan])] * 2, np.array([10, 0]), [10, 10])] == [0]
