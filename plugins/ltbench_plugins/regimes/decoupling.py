"""Decoupled training of backbone and classifier."""

from __future__ import annotations

from typing import Annotated, Literal

from ltbench import Meta, Phase, Regime, hookimpl


class Decoupling(Regime, frozen=True):
    """Train everything on the data as they come, then the classifier alone on balanced ones.

    The first stage leaves the chosen sampler off, so that the backbone learns from the true distribution. In the
    second the backbone is frozen, the sampler is on, the mix is off, and optimiser and learning-rate curve begin anew.
    Each of that is a parameter; the switches say in which stage a technique is on, and one that is off gives way to
    its baseline. The report's 20 and 10 epochs are the default `at` of two thirds of the training.

    With `still`, and no mix in the second stage, a frozen backbone looks at each image once, and the second stage costs
    next to nothing. Kang et al. augment in both stages, and so does the default.

    Without a sampler, a weight or a balanced loss the second stage goes on with the distribution of the first, and
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
    restart: Annotated[bool, Meta(description="whether optimiser and learning-rate curve begin anew")] = True
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
