"""Given class counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from ltbench import Meta, Profile, hookimpl
from ltbench.errors import UsageError
from ltbench.longtail import check_imbalance_factor
from ltbench.technique import written


class Counts(Profile, frozen=True):
    """Keep a given number of images of each class.

    For subsets that no formula describes, as `counts[per_class=500+200+50]`, in label order. The imbalance factor is
    that of the counts, the largest divided by the smallest one and rounded to two decimals; any other would change
    nothing and is an error.

    Source: none.
    """

    name = "counts"

    per_class: Annotated[
        tuple[Annotated[int, Meta(ge=1)], ...], Meta(description="images of each class, in label order")
    ] = ()

    def counts(self, available: Sequence[int], imbalance_factor: float) -> list[int]:
        if len(self.per_class) != len(available):
            given = f"gives {len(self.per_class)}" if self.per_class else "gives no"
            raise UsageError(
                f"profile '{self.label}' {given} class counts for {len(available)} classes",
                fix="counts[per_class=500+200+50], with a number for each class in label order",
            )
        own = round(max(self.per_class) / min(self.per_class), 2)
        if check_imbalance_factor(imbalance_factor) != own:
            raise UsageError(
                f"profile '{self.label}' has an imbalance factor of {own:g}, so {imbalance_factor:g} would change nothing",
                fix=f"--imbalance-factors {written(own)}",
            )
        return list(self.per_class)


@hookimpl
def ltbench_profiles() -> list[type[Profile]]:
    return [Counts]
