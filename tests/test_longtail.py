from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import python

from ltbench.errors import DataError, UsageError
from ltbench.longtail import (
    check_counts,
    check_imbalance_factor,
    class_counts,
    gini,
    groups,
    held_out_counts,
    held_out_positions,
    held_out_units,
    realised_imbalance,
    subset_indices,
    thirds,
)

LABELS = np.tile(np.arange(3), 6)
counts_lists = st.lists(st.integers(0, 10_000), min_size=1, max_size=30)


def test_subset_by_the_ldam_convention_worked_out_step_by_step() -> None:
    legacy = np.random.RandomState(7)
    expected = []
    for label, keep in enumerate([4, 2, 1]):
        positions = np.where(np.equal(LABELS, label))[0]
        legacy.shuffle(positions)
        expected.extend(positions[:keep])
    got = subset_indices(LABELS, [4, 2, 1], 7)
    assert got.dtype == np.int64
    assert got.tolist() == expected


def test_known_subset_of_a_known_seed() -> None:
    # As numpy 2.4 gives it; NEP 19 keeps the stream of the legacy generator as it is.
    assert subset_indices(LABELS, [6, 1, 1], 0).tolist() == [15, 6, 3, 9, 0, 12, 4, 11]


@given(
    counts=st.lists(st.integers(1, 12), min_size=1, max_size=6),
    fewer=st.lists(st.integers(0, 11), min_size=6, max_size=6),
    seed=st.integers(0, 2**32 - 1),
    order=st.randoms(use_true_random=False),
)
def test_smaller_subsets_lie_in_larger_ones_of_the_same_seed(counts, fewer, seed, order) -> None:
    labels = [label for label in range(len(counts)) for _ in range(12)]
    order.shuffle(labels)
    array = np.array(labels, np.int64)
    smaller = [max(1, n - less) for n, less in zip(counts, fewer, strict=False)]
    large, small = subset_indices(array, counts, seed), subset_indices(array, smaller, seed)
    assert set(small.tolist()) <= set(large.tolist())
    assert len(set(large.tolist())) == sum(counts)
    assert class_counts(array[large], len(counts)).tolist() == counts
    assert np.all(np.diff(array[large]) >= 0)


@pytest.mark.parametrize(
    ("share", "held_out"),
    [(0.0, [0, 0, 0, 0, 0]), (0.1, [50, 3, 1, 1, 0]), (0.3, [150, 8, 1, 1, 0]), (0.999, [499, 24, 2, 1, 0])],
)
def test_held_out_counts_worked_by_hand(share: float, held_out: list[int]) -> None:
    assert held_out_counts([500, 25, 3, 2, 1], share) == held_out


@given(st.lists(st.integers(1, 400), min_size=1, max_size=8), st.floats(0.001, 0.999), st.integers(0, 2**63 - 1))
def test_held_out_images_are_of_every_class_but_those_of_one_image_and_never_all(counts, share, seed) -> None:
    positions = held_out_positions(counts, share, seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    held_out = np.bincount(labels[positions], minlength=len(counts)).tolist()
    assert held_out == held_out_counts(counts, share)
    assert all((n == 0) if of == 1 else (0 < n < of) for n, of in zip(held_out, counts, strict=True))
    assert len(set(positions.tolist())) == len(positions)
    assert (np.diff(positions) > 0).all()


@given(st.integers(2, 300), st.integers(1, 300), st.floats(0.01, 0.9), st.integers(0, 99))
def test_held_out_images_of_a_smaller_class_are_among_those_of_a_larger_one(fewer, more, share, seed) -> None:
    small = set(held_out_positions([fewer], share, seed).tolist())
    large = held_out_positions([fewer + more], share, seed)
    assert small == set(large[: len(small)].tolist())
    # The others of the smaller class are trained on in both, but for the last part of the class, which is not complete.
    assert len([place for place in large[len(small) :] if place < fewer]) <= 1


def test_held_out_units_worked_by_hand() -> None:
    # Class 0 has five units of two images, class 1 a unit of three and one of one: a fifth is two images, and one.
    labels, units = np.repeat([0, 1], [10, 4]), np.array([0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 5, 6])
    for seed in range(20):
        held_out = held_out_units(labels, units, 0.2, seed)
        assert np.bincount(labels[held_out], minlength=2).tolist() == [2, 1]
        assert 13 in held_out
        assert len(set(units[held_out].tolist())) == 2
    assert len({tuple(held_out_units(labels, units, 0.2, seed).tolist()) for seed in range(20)}) > 2


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 30)), min_size=1, max_size=120),
    st.floats(0.05, 0.6),
    st.integers(0, 99),
)
def test_held_out_units_are_whole_and_leave_every_class_an_image(images, share, seed) -> None:
    labels, units = (np.array(part, np.int64) for part in zip(*sorted(images), strict=True))
    held_out = held_out_units(labels, units, share, seed)
    rest = np.delete(np.arange(len(labels)), held_out)
    assert not set(units[held_out].tolist()) & set(units[rest].tolist())
    assert set(labels[rest].tolist()) == set(labels.tolist())
    assert (np.diff(held_out) > 0).all()


def test_units_of_one_image_hold_out_as_many_as_without_units() -> None:
    labels = np.repeat(np.arange(4), [50, 12, 3, 1])
    held_out = held_out_units(labels, np.arange(66), 0.2, 0)
    assert np.bincount(labels[held_out], minlength=4).tolist() == held_out_counts([50, 12, 3, 1], 0.2)


def test_held_out_images_of_a_known_seed() -> None:
    first, other = (held_out_positions([20, 1, 5], 0.2, seed).tolist() for seed in (0, 1))
    assert first == [1, 3, 8, 13, 21]
    assert other != first


def test_each_part_of_a_class_holds_out_one_of_its_images_with_equal_chance() -> None:
    times = np.zeros(10)
    for seed in range(3000):
        times[held_out_positions([10], 0.2, seed)] += 1
    # One image is held out from two on, and two images from eight on: so the parts are 0 and 1, then 2 to 7.
    np.testing.assert_allclose(times / 3000, [1 / 2] * 2 + [1 / 6] * 6 + [0] * 2, atol=0.03)


def test_over_many_subsets_every_image_is_held_out_equally_often() -> None:
    labels = np.zeros(10, np.int64)
    times = np.zeros(10)
    for seed in range(3000):
        times[subset_indices(labels, [10], seed)[held_out_positions([10], 0.2, seed)]] += 1
    np.testing.assert_allclose(times / 3000, 0.2, atol=0.03)


@pytest.mark.parametrize("share", [-0.1, 1.0, 2])
def test_a_held_out_share_that_cannot_be_is_refused(share: float) -> None:
    with pytest.raises(UsageError, match="held-out share"):
        held_out_counts([5], share)


def test_seeds_choose_different_images() -> None:
    labels = np.zeros(1000, np.int64)
    assert subset_indices(labels, [50], 0).tolist() != subset_indices(labels, [50], 1).tolist()


def test_numpy_s_global_generator_is_left_alone() -> None:
    np.random.seed(3)  # noqa: NPY002
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    subset_indices(LABELS, [2, 1, 1], 0)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_numpy_cannot_take_is_refused(seed: int) -> None:
    with pytest.raises(UsageError, match=f"subset seed {seed}"):
        subset_indices(LABELS, [1, 1, 1], seed)


@pytest.mark.parametrize("factor", [0, -3, 0.01, 0.999, float("nan"), float("inf"), -float("inf")])
def test_an_imbalance_factor_that_cannot_be_is_refused(factor: float) -> None:
    with pytest.raises(UsageError, match="imbalance factor"):
        check_imbalance_factor(factor)


def test_a_ratio_given_for_a_factor_gets_its_inverse_as_advice() -> None:
    with pytest.raises(UsageError, match="such as 100"):
        check_imbalance_factor(0.01)


def test_balanced_and_extreme_factors_are_accepted() -> None:
    assert check_imbalance_factor(1) == 1.0
    assert check_imbalance_factor(1e300) == 1e300


@pytest.mark.parametrize(
    ("counts", "available", "message"),
    [
        ([1, 1], [0, 0], "empty"),
        ([], [], "empty"),
        ([1, 1, 1], [1, 1, 0], "more classes \\(3\\) than training images \\(2\\)"),
        ([1], [5, 5], "1 class counts for 2 classes"),
        ([6, 5, 9], [5, 5, 5], "class 0 should keep 6 training images but has 5 \\(and 1 more"),
        ([5, 0, 2], [5, 5, 5], "class 1 would keep no training images\\n"),
        ([5, 0, -1], [5, 5, 5], "class 1 would keep no training images \\(and 1 more"),
    ],
)
def test_counts_that_cannot_be_are_refused(counts: list[int], available: list[int], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        check_counts(counts, available, "somewhere")
    assert caught.value.where == "somewhere"


def test_classes_are_called_by_their_names() -> None:
    with pytest.raises(DataError, match="class 'dog' would keep no training image") as caught:
        check_counts([5, 0], [5, 5], names=["cat", "dog"], hint="all")
    assert caught.value.fix == "a smaller imbalance factor, or all"
    with pytest.raises(DataError, match="class 'cat' should keep 6 training images but has 5"):
        check_counts([6, 5], [5, 5], names=["cat", "dog"])


def test_counts_that_use_everything_pass() -> None:
    check_counts([5, 5], [5, 5])
    check_counts([1], [1])


def test_a_subset_checks_its_counts() -> None:
    with pytest.raises(DataError, match="keep 7"):
        subset_indices(LABELS, [7, 1, 1], 0)
    with pytest.raises(DataError, match="empty"):
        subset_indices(np.zeros(0, np.int64), [1], 0)


@pytest.mark.parametrize("label", [-1, 3])
def test_labels_out_of_range_are_refused(label: int) -> None:
    with pytest.raises(DataError, match="expected 0 to 2"):
        class_counts(np.array([0, 1, label]), 3)


def test_class_counts_has_a_place_for_every_class() -> None:
    got = class_counts(np.array([1, 1, 3]), 5)
    assert got.dtype == np.int64
    assert got.tolist() == [0, 2, 0, 1, 0]


@given(counts_lists.filter(any))
def test_gini_is_half_the_relative_mean_absolute_difference(counts: list[int]) -> None:
    array = np.array(counts, float)
    expected = np.abs(array[:, None] - array[None, :]).mean() / (2 * array.mean())
    assert gini(counts) == pytest.approx(expected, abs=1e-12)
    assert 0 <= gini(counts) < 1


def test_gini_of_one_class_with_everything() -> None:
    assert gini([10, 0, 0, 0]) == 0.75


def test_gini_of_nothing_is_refused() -> None:
    for counts in ([], [0, 0]):
        with pytest.raises(DataError, match="undefined"):
            gini(counts)


def test_realised_imbalance_is_never_infinite() -> None:
    assert realised_imbalance([500, 5, 50]) == 100.0
    assert realised_imbalance([7]) == 1.0
    assert realised_imbalance([500, 0]) is None
    assert realised_imbalance([]) is None


def test_groups_at_their_borders() -> None:
    assert groups([101, 100, 20, 19, 0]) == {"many": [0], "medium": [1, 2], "few": [3, 4]}
    assert groups(np.array([1000])) == {"many": [0], "medium": [], "few": []}


@given(counts_lists)
def test_groups_and_thirds_have_every_class_once(counts: list[int]) -> None:
    for parts in (groups(counts), thirds(counts)):
        assert sorted(label for part in parts.values() for label in part) == list(range(len(counts)))


@given(counts_lists)
def test_no_class_of_the_tail_has_more_images_than_one_of_the_head(counts: list[int]) -> None:
    parts = thirds(counts)
    images = {name: [counts[label] for label in part] for name, part in parts.items()}
    assert len(parts["head"]) == len(parts["tail"])
    assert max(images["tail"], default=0) <= min(images["middle"] + images["head"], default=10_000)
    assert max(images["middle"], default=0) <= min(images["head"], default=10_000)


@pytest.mark.parametrize(
    ("classes", "sizes"), [(1, (0, 1, 0)), (2, (1, 0, 1)), (3, (1, 1, 1)), (4, (1, 2, 1)), (10, (3, 4, 3))]
)
def test_sizes_of_thirds(classes: int, sizes: tuple[int, ...]) -> None:
    assert tuple(len(part) for part in thirds([5] * classes).values()) == sizes


def test_what_a_plan_needs_works_without_numpy() -> None:
    code = (
        "import sys; from ltbench.longtail import *; check_counts([1], [2]); gini([1]); groups([1]); thirds([1]);"
        "realised_imbalance([1]); check_imbalance_factor(2); assert 'numpy' not in sys.modules"
    )
    python(code)
