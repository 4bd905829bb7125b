"""Weight balancing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from ltbench import Meta, NotTuned, Phase, Regime, Tune, hookimpl
from ltbench_plugins._notes import WITH_RESAMPLING
from ltbench_plugins.regimes._notes import BALANCED_SECOND_STAGE


class WeightBalancing(Regime, frozen=True):
    """Train with strong weight decay, then the classifier with limited weight norms and class weights.

    The first stage is a training with a tuned, much larger weight decay, so that the weights of frequent classes do not
    grow; its training is not shared with the plain one. The second stage freezes the backbone and trains the classifier
    further with class-balanced weights (`ens`), a large decay, and the weights of each class projected onto a ball of
    radius `max_norm` after each step (projected gradient descent).

    Both decays are factors of the recipe's. The defaults give the authors' 5e-3 and 0.1 for a recipe with 5e-4; for one
    with 2e-4 they are `first=25,second=500`. The authors' second stage has 10 epochs after 320. Their code projects
    after each epoch, with a radius that is `min + 0.1 (max - min)` of the norms at the start.

    Source: Alshammari et al., Long-Tailed Recognition via Weight Balancing, CVPR 2022, sections 3.2 and 3.3.
    """

    name = "weight_balancing"
    conflicts: ClassVar[Mapping[str, str]] = {
        "weight": "it has class weights of its own, in its second stage",
        **dict.fromkeys(("cosine", "norm_free"), "with normalised class weights there are no norms to balance"),
    }
    doubtful: ClassVar[Mapping[str, str]] = {**BALANCED_SECOND_STAGE, **WITH_RESAMPLING}

    until: Annotated[
        float,
        Meta(gt=1, description="end of the second stage, as a fraction of the training"),
        NotTuned("decides the cost"),
    ] = 1 + 10 / 320
    first: Annotated[
        float,
        Meta(ge=0, description="factor of the recipe's weight decay in the first stage"),
        Tune(2.0, 50.0, log=True),
    ] = 10.0
    second: Annotated[
        float,
        Meta(ge=0, description="factor of the recipe's weight decay in the second stage"),
        Tune(50.0, 1000.0, log=True),
    ] = 200.0
    max_norm: Annotated[
        float, Meta(gt=0, description="largest norm of the weights of a class"), Tune(0.03, 0.3, log=True)
    ] = 0.1

    def phases(self) -> list[Phase]:
        """Return the two stages."""
        return [
            Phase(until=1.0, weight=False, weight_decay_scale=self.first),
            Phase(
                until=self.until,
                weight="ens",
                mix=False,
                auxiliary=False,
                trainable="classifier",
                restart=True,
                weight_decay_scale=self.second,
                max_norm=self.max_norm,
            ),
        ]


@hookimpl
def ltbench_regimes() -> list[type[Regime]]:
    return [WeightBalancing]
