"""The original class counts of a data set."""

from __future__ import annotations

from collections.abc import Sequence

from ltbench import Profile, hookimpl
from ltbench.errors import UsageError
from ltbench.longtail import check_imbalance_factor


class Natural(Profile, frozen=True):
    """Keep all training images, and so the imbalance of the data set.

    Other imbalance factors than 1, which here means "unchanged", would have no effect and are errors. Next to other
    profiles it is planned once. The record contains the realised imbalance.

    Source: none; data sets such as breast histopathology (report jiang) are naturally long-tailed.
    """

    name = "natural"
    keeps_all = True

    def counts(self, available: Sequence[int], imbalance_factor: float) -> list[int]:
        if check_imbalance_factor(imbalance_factor) != 1:
            raise UsageError(
                f"profile 'natural' keeps every image, so imbalance factor {imbalance_factor:g} would change nothing",
                fix="imbalance_factors = [1], or a profile such as 'exp' that makes the imbalance",
            )
        return [int(number) for number in available]


@hookimpl
def ltbench_profiles() -> list[type[Profile]]:
    return [Natural]
