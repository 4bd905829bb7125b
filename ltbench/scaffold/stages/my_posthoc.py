"""A bonus for rare classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Meta, Posthoc, Tune, hookimpl

if TYPE_CHECKING:
    from ltbench.stages import FloatArray, IntArray

LTBENCH_API = 1  # version of the ltbench hooks that this module implements


class MyPosthoc(Posthoc, frozen=True):
    """Raise the logit of each class by a bonus for its rarity: `z_c + strength * (1 - n_c / n_max)`.

    The most frequent class gets no bonus, the rarest almost `strength`.

    Source: FILL IN (authors, title, year, equation).
    """

    name = "my_posthoc"
    # If it is fitted to images, say to which (`evidence`), and replace `adjust` by `fit` and `adjust_with`:
    # docs/stages/posthoc.md.

    strength: Annotated[
        float, Meta(ge=0, description="bonus of a class without images; 0 changes nothing"), Tune(0.25, 4.0, log=True)
    ] = 1.0

    def adjust(self, logits: FloatArray, counts: IntArray) -> FloatArray:
        """Return adjusted logits, float [N, C]. counts: int64 [C] of the training subset."""
        adjusted: FloatArray = logits + self.strength * (1 - counts / counts.max())
        return adjusted


@hookimpl
def ltbench_posthocs() -> list[type[Posthoc]]:
    return [MyPosthoc]
