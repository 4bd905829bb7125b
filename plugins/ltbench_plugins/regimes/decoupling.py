"""Decoupled training of backbone and classifier."""

from __future__ import annotations

from typing import Annotated, Literal

from ltbench import Meta, Phase, Regime, Tune, hookimpl


class Decoupling(Regime, frozen=True):
    """Train the whole network on the original class distribution, then only the classifier on a balanced one.

    In the first stage the sampler is off, so that the backbone learns from the original distribution. The second stage
    freezes the backbone, switches the sampler on and the mix off, and restarts optimiser, learning-rate schedule and, if
    the recipe has one, the moving average of the weights. Each of these can be changed by a parameter. Where a technique
    is off, the baseline of its stage replaces it. The default of `at` corresponds to the report's 20 and 10 epochs.

    With `still`, and without mix in the second stage, the features of each image are computed only once, and the second
    stage takes almost no time. Kang et al. augment in both stages, which is the default.

    Without a sampler, weight or balanced loss, the second stage has the distribution of the first and changes little.

    Source: report schmidt, "Decoupling the model"; Kang et al., Decoupling Representation and Classifier for
    Long-Tailed Recognition, ICLR 2020, section 4 (classifier re-training, cRT).
    """

    name = "decoupling"

    at: Annotated[
        float, Meta(gt=0, lt=1, description="start of the second stage, as a fraction of the training"), Tune(0.5, 0.9)
    ] = 2 / 3
    sampler: Annotated[Literal["second", "both"], Meta(description="stages in which the sampler is on")] = "second"
    mix: Annotated[Literal["first", "both"], Meta(description="stages in which the mix is on")] = "first"
    weight: Annotated[Literal["both", "second"], Meta(description="stages in which the weight is on")] = "both"
    still: Annotated[bool, Meta(description="whether the second stage uses unaugmented images")] = False
    freeze: Annotated[bool, Meta(description="whether the second stage trains only the classifier")] = True
    restart: Annotated[
        bool, Meta(description="whether optimiser, learning-rate schedule and moving average restart")
    ] = True
    lr_scale: Annotated[
        float, Meta(gt=0, description="factor of the learning rate in the second stage"), Tune(0.1, 2.0, log=True)
    ] = 1.0

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
