from __future__ import annotations

import itertools

import numpy as np
import pytest
from plugins.checks import both_sizes, global_randomness_untouched, labels_of, long_tail

from ltbench import Member
from ltbench_plugins.ensembles.bagging import Bagging

CIFAR50 = [int(500 * 0.1 ** (x / 50)) for x in range(50)]


def bags_of(bagging: Bagging, counts: list[int], seed: int = 0) -> tuple[list[np.ndarray], np.ndarray]:
    labels = labels_of(counts).numpy()
    with global_randomness_untouched():
        members = bagging.members(counts)
        bags = [bagging.bag(m.bag, labels, np.random.default_rng(seed)) for m in members if m.bag is not None]
    return bags, labels


def test_the_number_of_learners_of_the_report() -> None:
    assert Bagging(threshold=120).members(CIFAR50) == [Member(bag=n) for n in range(4)]  # 500 // 120


@pytest.mark.parametrize(
    ("counts", "expected"), [([500, 50], 4), ([5000, 50], 4), ([501, 50], 3), ([7, 7], 3), ([1, 1], 1)]
)
def test_without_a_threshold_there_are_about_four_learners(counts: list[int], expected: int) -> None:
    assert len(Bagging().members(counts)) == expected


@pytest.mark.parametrize("threshold", [300, 501, 10_000])
def test_a_single_bag_is_the_plain_training(threshold: int) -> None:
    assert Bagging(threshold=threshold).members(CIFAR50) == [Member()]


@pytest.mark.parametrize("split", ["median", "nearest"])
def test_minority_classes_are_copied_and_the_majority_is_dealt_out(split: str) -> None:
    bagging = Bagging(threshold=120, split=split)
    bags, labels = bags_of(bagging, CIFAR50)
    majority = bagging.majority(CIFAR50)
    assert majority == list(range(len(majority)))
    dealt = [bag[np.isin(labels[bag], majority)] for bag in bags]
    assert sorted(itertools.chain(*dealt)) == np.flatnonzero(np.isin(labels, majority)).tolist()
    assert max(map(len, dealt)) - min(map(len, dealt)) <= 1
    for bag in bags:
        counts = np.bincount(labels[bag], minlength=50)
        for label, number in enumerate(CIFAR50):
            if label in majority:
                assert counts[label] in {number // 4, -(-number // 4)}
            else:
                assert counts[label] == number


def test_the_majority_is_what_is_above_the_median() -> None:
    assert Bagging().majority([500, 300, 100, 50, 20]) == [0, 1]
    assert Bagging().majority([500, 300, 100, 50]) == [0, 1]
    assert Bagging().majority([20, 500, 100]) == [1]


def test_where_no_class_is_above_the_median_the_largest_are_the_majority() -> None:
    assert Bagging().majority([40, 40, 40, 4]) == [0, 1, 2]
    assert Bagging().majority([40, 40, 40]) == [0, 1, 2]


def test_nearest_deals_a_class_where_that_brings_it_nearer_to_the_threshold() -> None:
    # Four bags of a threshold of 120: 192 images are 72 over it as a copy and 48 are 72 under it when dealt.
    assert Bagging(threshold=120, split="nearest").majority([500, 193, 192, 100]) == [0, 1]


def test_a_class_with_fewer_images_than_bags_is_in_every_bag() -> None:
    bagging = Bagging(threshold=1)
    bags, labels = bags_of(bagging, [30, 20, 2, 1])
    assert len(bags) == 30
    assert bagging.majority([30, 20, 2, 1]) == [0]
    for bag in bags:
        assert set(labels[bag].tolist()) == {0, 1, 2, 3}


def test_the_deal_depends_on_the_generator_alone() -> None:
    first, _ = bags_of(Bagging(), CIFAR50)
    again, _ = bags_of(Bagging(), CIFAR50)
    other, _ = bags_of(Bagging(), CIFAR50, seed=1)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])
    assert not np.array_equal(first[0], first[1])


@both_sizes
def test_every_bag_has_every_class(classes: int) -> None:
    counts = long_tail(classes).tolist()
    bags, labels = bags_of(Bagging(), counts)
    for bag in bags:
        assert bag.dtype == np.int64
        assert len(set(bag.tolist())) == len(bag)
        assert set(labels[bag].tolist()) == set(range(classes))


def test_members_count_the_same() -> None:
    probabilities = np.array([[[1.0, 0.0]], [[0.5, 0.5]], [[0.0, 1.0]], [[0.1, 0.9]]])
    np.testing.assert_allclose(Bagging().merge(probabilities), [[0.4, 0.6]])
