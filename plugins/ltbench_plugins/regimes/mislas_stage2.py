"""Second stage of MiSLAS."""

from __future__ import annotations

from typing import Annotated

from ltbench import Meta, NotTuned, Phase, Regime, Tune, hookimpl
from ltbench_plugins.losses._smoothing import Off
from ltbench_plugins.regimes._notes import ADJUSTED_AFTER_A_BALANCED_STAGE, FACTORS
from ltbench_plugins.regimes._second_stage import balanced_second_stage


class MislasStage2(Regime, frozen=True):
    """After the training, scale the classifier with label-aware smoothing and batch norm of balanced samples.

    The first stage is the whole training of the cell; with mixup, as in the paper, it is the method `mislas`. The
    second one has class-balanced sampling, no mix and no auxiliary. Of the network only one factor per class learns, as in
    `lws`, with the loss `label_aware_smooth`, and the statistics of batch normalisation follow the balanced samples (shifted
    batch normalisation).

    The defaults are those for CIFAR-100-LT: 10 epochs after 200. For CIFAR-10-LT the authors use `head=0.3,tail=0`, and no
    shifted batch normalisation. Their code spreads the share over all classes (`off=k`), and also trains the
    weights of the classifier, at 0.2 of the learning rate.

    Source: Zhong et al., Improving Calibration for Long-Tailed Recognition, CVPR 2021, sections 3.2 (label-aware
    smoothing) and 3.3 (shifted batch normalisation).
    """

    name = "mislas_stage2"
    conflicts = FACTORS
    doubtful = ADJUSTED_AFTER_A_BALANCED_STAGE  # the loss is replaced

    until: Annotated[
        float,
        Meta(gt=1, description="end of the second stage, as a fraction of the training"),
        NotTuned("decides the cost"),
    ] = 1.05
    head: Annotated[float, Meta(ge=0, lt=1, description="share spread for the most frequent class"), Tune(0.2, 0.5)] = (
        0.4
    )
    tail: Annotated[float, Meta(ge=0, lt=1, description="share spread for the rarest class"), Tune(0.0, 0.15)] = 0.1
    shift_bn: Annotated[
        bool, Meta(description="whether statistics of batch normalisation follow"), Tune(True, False)
    ] = True
    off: Off = "k_minus_1"

    def without_effect(self) -> tuple[str, ...]:
        return () if self.head or self.tail else ("off",)

    def phases(self) -> list[Phase]:
        """Return the whole training and the second stage."""
        more = f",off={self.off}" if self.off != "k_minus_1" else ""
        return balanced_second_stage(
            self.until,
            loss=f"label_aware_smooth[head={self.head!r},tail={self.tail!r}{more}]",
            classifier="scale",
            batch_norm="statistics" if self.shift_bn else "",
        )


@hookimpl
def ltbench_regimes() -> list[type[Regime]]:
    return [MislasStage2]
