from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ltbench.errors import DataError, UsageError
from ltbench.longtail import realised_imbalance
from ltbench_plugins.profiles.balanced import Balanced
from ltbench_plugins.profiles.exp import Exp
from ltbench_plugins.profiles.exp50 import Exp50
from ltbench_plugins.profiles.linear import Linear
from ltbench_plugins.profiles.pareto import Pareto
from ltbench_plugins.profiles.step import Step

CONSTANTS = json.loads((Path(__file__).parents[2] / "constants_cifar_lt.json").read_text())
AVAILABLE = {"cifar10": [5000] * 10, "cifar100": [500] * 100}
PROFILES = [Exp(), Linear(), Pareto(), Step()]
factors = st.floats(1, 1000)


@pytest.mark.parametrize("factor", ["10", "100"])
def test_exp_has_the_published_counts_of_cifar10(factor: str) -> None:
    assert Exp().counts(AVAILABLE["cifar10"], float(factor)) == CONSTANTS["counts_exp_cifar10"][factor]


@pytest.mark.parametrize("dataset", AVAILABLE)
def test_exp_has_the_known_totals(dataset: str) -> None:
    totals = {f: sum(Exp().counts(AVAILABLE[dataset], float(f))) for f in CONSTANTS["totals_exp"][dataset]}
    assert totals == CONSTANTS["totals_exp"][dataset]


@pytest.mark.parametrize("ratio", [0.1, 0.05, 0.02, 0.01, 0.005, 0.002])
@pytest.mark.parametrize("dataset", AVAILABLE)
def test_exp_truncates_where_a_ratio_given_as_a_literal_does(dataset: str, ratio: float) -> None:
    # The literature writes the ratio, 0.01, where a plan has the factor, 100: the powers must be the same floats.
    available = AVAILABLE[dataset]
    last = len(available) - 1.0
    expected = [int(available[0] * ratio ** (c / last)) for c in range(len(available))]
    assert Exp().counts(available, round(1 / ratio)) == expected


@pytest.mark.parametrize("dataset", AVAILABLE)
def test_step_has_the_known_total_and_one_step_in_the_middle(dataset: str) -> None:
    available = AVAILABLE[dataset]
    counts = Step().counts(available, 100)
    half = len(available) // 2
    assert sum(counts) == CONSTANTS["totals_step_100"][dataset]
    assert counts == [available[0]] * half + [available[0] // 100] * half


def test_linear_has_the_counts_of_its_report() -> None:
    assert Linear().counts([5000] * 10, 10) == CONSTANTS["linear_10_cifar10"]


def test_linear_is_not_an_image_short_where_floats_are() -> None:
    # In floating point the second class of these has 89.99999999999999 images.
    assert Linear().counts([100] * 10, 10) == [100, 90, 80, 70, 60, 50, 40, 30, 20, 10]


@pytest.mark.parametrize("profile", PROFILES, ids=lambda p: p.name)
@given(images=st.integers(1000, 6000), classes=st.integers(1, 60), factor=factors)
def test_counts_fall_from_all_there_is_to_the_factor(profile, images, classes, factor) -> None:
    counts = profile.counts([images] * classes, factor)
    assert len(counts) == classes
    assert counts[0] == images
    assert all(type(n) is int for n in counts)
    assert counts == sorted(counts, reverse=True)
    if classes > 1:
        assert abs(counts[-1] - images / factor) <= 1
    assert profile.counts([images] * classes, 1) == [images] * classes


@pytest.mark.parametrize("profile", PROFILES, ids=lambda p: p.name)
@given(factor=factors, more=st.floats(1, 10))
def test_a_higher_factor_never_gives_a_class_more(profile, factor, more) -> None:
    before, after = profile.counts([600] * 10, factor), profile.counts([600] * 10, factor * more)
    assert all(a <= b for a, b in zip(after, before, strict=True))


@pytest.mark.parametrize("profile", PROFILES, ids=lambda p: p.name)
@given(available=st.lists(st.integers(1, 5000), min_size=1, max_size=20), factor=factors)
def test_an_unbalanced_data_set_is_never_asked_for_more_than_it_has(profile, available, factor) -> None:
    counts = profile.counts(available, factor)
    assert all(0 <= n <= there for n, there in zip(counts, available, strict=True))


def test_an_unbalanced_data_set_gives_as_much_as_its_rarest_class_allows() -> None:
    assert Exp().counts([3000, 1000], 10) == [3000, 300]
    assert Exp().counts([3000, 1000], 2) == [2000, 1000]
    assert Exp().counts([1000, 3000], 1) == [1000, 1000]


@pytest.mark.parametrize("profile", PROFILES, ids=lambda p: p.name)
def test_one_class_keeps_everything_and_two_classes_are_head_and_tail(profile) -> None:
    assert profile.counts([70], 100) == [70]
    assert profile.counts([700, 700], 7) == [700, 100]
    assert realised_imbalance(profile.counts([5000, 5000], 100)) == 100.0


def test_of_an_odd_number_of_classes_the_middle_one_is_rare() -> None:
    assert Step().counts([100] * 3, 10) == [100, 10, 10]


@pytest.mark.parametrize("profile", PROFILES, ids=lambda p: p.name)
@pytest.mark.parametrize("factor", [0, -1, 0.5, float("nan"), float("inf")])
def test_a_factor_that_cannot_be_is_refused(profile, factor: float) -> None:
    with pytest.raises(UsageError, match="imbalance factor"):
        profile.counts([100] * 10, factor)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda p: p.name)
def test_no_classes_are_refused_and_a_huge_factor_is_not_a_crash(profile) -> None:
    with pytest.raises(DataError, match="empty"):
        profile.counts([], 10)
    assert profile.counts([100] * 3, 1e308)[-1] == 0


def test_pareto_by_hand() -> None:
    # ln 100 / ln 10 = 2: 5000 divided by 1, 4, 9, ..., 100; half an image is rounded up.
    assert Pareto().counts([5000] * 10, 100) == [5000, 1250, 556, 313, 200, 139, 102, 78, 62, 50]


def test_pareto_of_a_hundred_classes_at_factor_100_is_the_harmonic_series() -> None:
    # ln 100 / ln 100 = 1: 500 / (c + 1), in all 500 * 5.18738 = 2594.
    counts = Pareto().counts([500] * 100, 100)
    assert (counts[0], counts[1], counts[49], counts[99]) == (500, 250, 10, 5)
    assert sum(counts) == pytest.approx(2594, abs=5)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda p: p.name)
def test_a_reversed_order_is_the_mirror_image_of_balanced_data(profile) -> None:
    plain = profile.counts([500] * 100, 50)
    assert replace(profile, order="reverse").counts([500] * 100, 50) == plain[::-1]


def test_the_order_says_which_class_of_an_unbalanced_data_set_is_frequent() -> None:
    # The last class has 1,000 images and is the head; the first, a tenth of it, has enough.
    assert Exp(order="reverse").counts([200, 1000], 10) == [100, 1000]
    assert Exp().counts([200, 1000], 10) == [200, 20]


def test_a_random_order_has_the_same_counts_for_other_classes() -> None:
    plain = Exp().counts([500] * 100, 50)
    orders = [Exp(order="random", order_seed=seed).counts([500] * 100, 50) for seed in range(3)]
    assert all(sorted(counts, reverse=True) == plain for counts in orders)
    assert len({tuple(counts) for counts in [plain, *orders]}) == 4
    assert orders[0] == Exp(order="random").counts([500] * 100, 50)


def test_a_random_order_is_the_same_on_every_machine() -> None:
    # random.Random(0).random(): 0.844, 0.758, 0.421, 0.259, 0.511: the fourth class is the most frequent.
    assert Exp(order="random").counts([625] * 5, 625) == [1, 5, 125, 625, 25]


def test_a_seed_without_a_random_order_is_not_another_profile() -> None:
    assert Exp(order_seed=7) == Exp()
    assert Exp().label == "exp"


def test_balanced_keeps_as_many_images_as_the_profile_it_is_like_the_same_of_each_class() -> None:
    # 12,406 images of ten classes.
    assert Balanced().counts(AVAILABLE["cifar10"], 100) == [1241] * 6 + [1240] * 4
    assert Balanced(like="linear").counts([100] * 10, 10) == [55] * 10
    for profile in (Exp(), Exp50(), Linear(), Pareto(), Step()):
        kept = Balanced(like=profile.name).counts([500] * 50, 10)
        assert sum(kept) == sum(profile.counts([500] * 50, 10))
        assert max(kept) - min(kept) <= 1


def test_balanced_refuses_what_a_class_has_no_images_for() -> None:
    with pytest.raises(DataError, match="class 2 has 50"):
        Balanced().counts([400, 200, 50], 2)
    with pytest.raises(DataError, match="71 images needs 24 of a class, and class 1 has 23"):
        Balanced().counts([41, 23, 26], 4)
