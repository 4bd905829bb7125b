"""Profiles that state the size of each class relative to the most frequent one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

from ltbench import Meta, Profile
from ltbench.errors import DataError
from ltbench.longtail import check_imbalance_factor


class ByRank(Profile, frozen=True):
    """Class counts by rank, and which class has which rank."""

    order: Annotated[
        Literal["label", "reverse", "random"],
        Meta(description="which class is the most frequent: the first, the last, or ranks drawn with order_seed"),
    ] = "label"
    order_seed: Annotated[int, Meta(ge=0, description="seed of a random order")] = 0

    def without_effect(self) -> tuple[str, ...]:
        return () if self.order == "random" else ("order_seed",)

    def shares(self, classes: int, imbalance_factor: float) -> list[float]:
        """Return the size of each rank relative to the most frequent one, in (0, 1], the most frequent one first."""
        raise NotImplementedError

    def whole(self, images: float) -> int:
        """Return the number of images to keep."""
        return int(images)

    def ranks(self, classes: int) -> list[int]:
        """Return the rank of each class, 0 for the most frequent one."""
        if self.order == "reverse":
            return list(range(classes))[::-1]
        if self.order == "label":
            return list(range(classes))
        import random

        # Only `random()` is the same in every version of Python.
        drawn = random.Random(self.order_seed)  # noqa: S311
        frequent_first = sorted(range(classes), key=[drawn.random() for _ in range(classes)].__getitem__)
        return sorted(range(classes), key=frequent_first.__getitem__)

    def counts(self, available: Sequence[int], imbalance_factor: float) -> list[int]:
        """Return how many training images each class keeps. Raises `DataError` if there are no classes.

        The largest head count for which all classes have enough images; if balanced, the class size.
        """
        if not available:
            raise DataError("the data set is empty: it has no classes")
        of_rank = self.shares(len(available), check_imbalance_factor(imbalance_factor))
        shares = [of_rank[rank] for rank in self.ranks(len(available))]
        head = math.floor(min(there / share for there, share in zip(available, shares, strict=True)))
        return [self.whole(head * share) for share in shares]
