"""Class counts that fall by a power law."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

from ltbench import Meta, Profile, hookimpl

LTBENCH_API = 1  # version of the ltbench hooks that this module implements


class MyProfile(Profile, frozen=True):
    """Class counts fall with the rank by a power law: `n_c = n_max * ((1 + shift) / (c + 1 + shift)) ** s`.

    The exponent s is chosen so that the last of C classes has n_max / IF images. With `shift = 0` it is Zipf's law.

    Source: FILL IN (authors, title, year, equation).
    """

    name = "my_profile"

    shift: Annotated[float, Meta(ge=0, description="0: Zipf's law; larger values make the head more even")] = 1.0

    def counts(self, available: Sequence[int], imbalance_factor: float) -> list[int]:
        """Return how many training images each class keeps, in label order."""
        ratios = [(label + 1 + self.shift) / (1 + self.shift) for label in range(len(available))]
        power = math.log(imbalance_factor) / math.log(ratios[-1]) if len(ratios) > 1 else 0.0
        shares = [ratio**-power for ratio in ratios]
        # The largest head for which every class has enough images; 1e-7 absorbs rounding errors.
        head = min(there / share for there, share in zip(available, shares, strict=True))
        return [max(1, math.floor(head * share + 1e-7)) for share in shares]


@hookimpl
def ltbench_profiles() -> list[type[Profile]]:
    return [MyProfile]
