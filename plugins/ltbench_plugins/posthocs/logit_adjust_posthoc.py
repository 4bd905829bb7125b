"""Logit adjustment after training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Meta, Posthoc, Tune, hookimpl
from ltbench_plugins._notes import BEFORE_ADJUSTMENT

if TYPE_CHECKING:
    from ltbench.stages import FloatArray, IntArray


class LogitAdjustPosthoc(Posthoc, frozen=True):
    """Subtract the logarithm of the class prior from the logits of a trained network.

    `z - tau * log prior` is optimal for balanced classes if the probabilities of the network are calibrated. The prior is
    the class distribution of the training images. With tau = 0 nothing changes. `logit_adjust` is the same correction
    during training.

    Source: Menon et al., Long-tail Learning via Logit Adjustment, 2021, equation 9.
    """

    name = "logit_adjust_posthoc"
    doubtful = BEFORE_ADJUSTMENT

    tau: Annotated[
        float, Meta(ge=0, description="strength: 0 changes nothing, 1 subtracts the full log prior"), Tune(0.25, 2.0)
    ] = 1.0

    def adjust(self, logits: FloatArray, counts: IntArray) -> FloatArray:
        """Return adjusted logits, float [N, C]. counts: int64 [C]; a class without images is treated as having one."""
        import numpy as np

        present = np.maximum(counts, 1)
        adjusted: FloatArray = logits - self.tau * np.log(present / present.sum())
        return adjusted


@hookimpl
def ltbench_posthocs() -> list[type[Posthoc]]:
    return [LogitAdjustPosthoc]
