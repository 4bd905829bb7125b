"""Decoupled training of backbone and classifier."""

from __future__ import annotations

from typing import Annotated, Literal

from ltbench import Meta, Phase, Regime, hookimpl


class Decoupling(Regime, frozen=True):
    """Train the whole network on the original distribution, then only the classifier on a balanced one.

    The first stage leaves the sampler off, so that the backbone learns from the true distribution. The second freezes
    the backbone, switches the sampler on and the mix off, and restarts optimiser, learning-rate curve and, if the recipe
    has one, the moving average of the weights. Each of these is a parameter; the switches name the stages in which a technique is on, and its baseline replaces it elsewhere. The
    default `at` of two thirds is that of the report's 20 and 10 epochs.

    With `still`, and without mix in the second stage, the frozen backbone computes features of each image only once,
    and the second stage is almost free. Kang et al. augment in both stages, and so does the default.

    Without a sampler, weight or balanced loss the second stage continues with the distribution of the first and
    changes little.

    Source: report schmidt, "Decoupling the model"; Kang et al., Decoupling Representation and Classifier for
    Long-Tailed Recognition, 2020, section 4.1 (classifier re-training, cRT).
    """

    name = "decoupling"

    at: Annotated[float, Meta(gt=0, lt=1, description="where the second stage begins, as a share of the training")] = (
        2 / 3
    )
    sampler: Annotated[Literal["second", "both"], Meta(description="stages in which the sampler is on")] = "second"
    mix: Annotated[Literal["first", "both"], Meta(description="stages in which the mix is on")] = "first"
    weight: Annotated[Literal["both", "second"], Meta(description="stages in which the weight is on")] = "both"
    still: Annotated[bool, Meta(description="whether the second stage shows images as they are, unaugmented")] = False
    freeze: Annotated[bool, Meta(description="whether the second stage trains the classifier alone")] = True
    restart: Annotated[bool, Meta(description="whether optimiser, learning-rate curve and average begin anew")] = True
    lr_scale: Annotated[float, Meta(gt=0, description="factor on the learning rate in the second stage")] = 1.0

    def phases(self) -> list[Phase]:
        """Return the two stages."""
        return [
            Phase(until=self.at, sampler=self.sampler == "both", weight=self.weight == "both"),
            Phase(
                until=1.0,
                mix=self.mix == "both",
                still=self.still,
                trainable="classifier" if self.freeze else "all",
                restart=self.restart,
                lr_scale=self.lr_scale,
            ),
        ]


@hookimpl
def ltbench_regimes() -> list[type[Regime]]:
    return [Decoupling]
