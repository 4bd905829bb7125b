"""As many images as another profile keeps, the same number of each class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from ltbench import Meta, Profile, hookimpl
from ltbench.errors import DataError
from ltbench_plugins.profiles.exp import Exp
from ltbench_plugins.profiles.exp50 import Exp50
from ltbench_plugins.profiles.linear import Linear
from ltbench_plugins.profiles.pareto import Pareto
from ltbench_plugins.profiles.step import Step

OF = {kind.name: kind for kind in (Exp, Exp50, Linear, Pareto, Step)}


class Balanced(Profile, frozen=True):
    """Keep as many images as another profile does at the same imbalance factor, spread evenly over the classes.

    At factor 100, CIFAR-10 keeps 12,406 images with `exp`, and so 1,241 of each of the first six classes and 1,240 of
    the others with `balanced`. What a network reaches with these is the upper reference of the relative accuracy: a
    page of both profiles has a column of it. A class with too few images is an error.

    Source: Zhang et al., "Deep Long-Tailed Learning: A Survey", TPAMI 2023 (the balanced training set in the definition
    of relative accuracy has about as many images as the long-tailed one; here exactly as many).
    """

    name = "balanced"

    like: Annotated[
        Literal["exp", "exp50", "linear", "pareto", "step"],
        Meta(description="profile that keeps as many images in all"),
    ] = "exp"

    def counts(self, available: Sequence[int], imbalance_factor: float) -> list[int]:
        total = sum(OF[self.like]().counts(available, imbalance_factor))
        each, left = divmod(total, len(available))
        kept = [each + (label < left) for label in range(len(available))]
        lacking = [label for label, (want, there) in enumerate(zip(kept, available, strict=True)) if want > there]
        if lacking:
            raise DataError(
                f"a balanced subset of {total} images needs {kept[lacking[0]]} of a class, and class {lacking[0]} has "
                f"{available[lacking[0]]}",
                fix="a higher imbalance factor, which keeps fewer images",
            )
        return kept


@hookimpl
def ltbench_profiles() -> list[type[Profile]]:
    return [Balanced]
