"""A mix in a part of the training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from ltbench import Meta, Phase, Regime, Tune, hookimpl


class DeferredMix(Regime, frozen=True):
    """Blend images only in the first part of the training, and end on images as they are.

    The last part adapts the network to the distribution of unblended images. The learning-rate schedule continues
    unchanged. With `part = last` the mix is deferred instead: the first part is shared with plain training.

    Source: He et al., Data Augmentation Revisited: Rethinking the Distribution Gap between Clean and Augmented Data,
    arXiv 2019, section 4 (refined augmentation).
    """

    name = "deferred_mix"
    needs: ClassVar[Mapping[str, str]] = {"mix": "there is nothing to switch without a mix"}

    at: Annotated[
        float, Meta(gt=0, lt=1, description="end of the first part, as a fraction of the training"), Tune(0.5, 0.95)
    ] = 0.9
    part: Annotated[
        Literal["first", "last"], Meta(description="part of the training with the mix"), Tune("first", "last")
    ] = "first"

    def phases(self) -> list[Phase]:
        """Return the two parts."""
        first = self.part == "first"
        return [Phase(until=self.at, mix=first), Phase(until=1.0, mix=not first)]


@hookimpl
def ltbench_regimes() -> list[type[Regime]]:
    return [DeferredMix]
