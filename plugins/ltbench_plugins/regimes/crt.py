"""Classifier re-training."""

from __future__ import annotations

from typing import Annotated

from ltbench import Meta, NotTuned, Phase, Regime, hookimpl
from ltbench_plugins.regimes._notes import BALANCED_SECOND_STAGE
from ltbench_plugins.regimes._second_stage import balanced_second_stage


class Crt(Regime, frozen=True):
    """After the training, train a fresh classifier on class-balanced samples (cRT).

    The first stage is the whole training of the cell. The second one freezes the backbone, initialises the classifier
    again and trains only it, with class-balanced sampling in place of the cell's sampler and weights, without mix and
    auxiliary, and with the recipe's learning-rate schedule from its start. In the paper the first stage has 90 epochs and the second one
    10 (ImageNet-LT); 10 epochs after 200 are `crt[until=1.05]`.

    `decoupling` keeps the classifier, and splits the training instead of prolonging it.

    Source: Kang et al., Decoupling Representation and Classifier for Long-Tailed Recognition, ICLR 2020, section 4
    (classifier re-training) and equation 1 with q = 0.
    """

    name = "crt"
    doubtful = BALANCED_SECOND_STAGE

    until: Annotated[
        float,
        Meta(gt=1, description="end of the second stage, as a fraction of the training"),
        NotTuned("decides the cost"),
    ] = 1 + 10 / 90

    def phases(self) -> list[Phase]:
        """Return the whole training and the second stage."""
        return balanced_second_stage(self.until, trainable="classifier", classifier="fresh")


@hookimpl
def ltbench_regimes() -> list[type[Regime]]:
    return [Crt]
