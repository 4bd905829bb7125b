from __future__ import annotations

import pytest

from ltbench.errors import ParameterError, UsageError
from ltbench.testing import checks
from ltbench_plugins.profiles.counts import Counts

test_it_conforms = checks(Counts(per_class=(600, 300, 60)))


def test_the_given_counts_are_kept() -> None:
    assert Counts(per_class=(500, 20, 50)).counts([500, 600, 700], 25) == [500, 20, 50]


def test_they_are_written_on_a_command_line() -> None:
    profile = Counts.parse({"per_class": "500+20+50"})
    assert profile == Counts(per_class=(500, 20, 50))
    assert profile.label == "counts[per_class=500+20+50]"


def test_only_their_own_imbalance_factor_is_accepted() -> None:
    profile = Counts(per_class=(500, 7))
    assert profile.counts([500, 500], 71.43) == [500, 7]
    for other in (1, 71, 71.4, 100):
        with pytest.raises(UsageError, match=r"imbalance factor of 71\.43") as error:
            profile.counts([500, 500], other)
        assert error.value.fix == "--imbalance-factors 71.43"


@pytest.mark.parametrize("given", [(), (5,), (5, 5, 5)])
def test_a_number_for_each_class_is_needed(given: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="class counts for 2 classes"):
        Counts(per_class=given).counts([10, 10], 1)


def test_a_class_without_images_is_refused() -> None:
    with pytest.raises(ParameterError, match="per_class"):
        Counts(per_class=(5, 0))


@pytest.mark.parametrize(
    ("text", "said"),
    [("5+0", "[5, 0]: expected int >= 1"), ("0", "[0]: expected int >= 1"), ("5+x", "[5, 'x']: expected int")],
)
def test_the_error_of_a_written_list_is_about_its_element(text: str, said: str) -> None:
    with pytest.raises(ParameterError) as error:
        Counts.parse({"per_class": text})
    assert said in error.value.what
