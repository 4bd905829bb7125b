"""Learnable weight scaling."""

from __future__ import annotations

from typing import Annotated

from ltbench import Meta, NotTuned, Phase, Regime, hookimpl
from ltbench_plugins.regimes._notes import BALANCED_SECOND_STAGE, FACTORS
from ltbench_plugins.regimes._second_stage import balanced_second_stage


class Lws(Regime, frozen=True):
    """After the training, learn one factor per class of the classifier's weights on class-balanced samples (LWS).

    The logit of class c becomes `f_c * (w_c x + b_c)`, where w_c, b_c and the features x are those of the first stage and
    f_c starts at 1. The paper writes `f_c w_c` for weights without bias; the authors' code multiplies logits, as here.
    At the end the factors become part of weights and bias. The second stage is otherwise that of `crt`.

    Source: Kang et al., Decoupling Representation and Classifier for Long-Tailed Recognition, ICLR 2020, section 4
    (learnable weight scaling).
    """

    name = "lws"
    conflicts = FACTORS
    doubtful = BALANCED_SECOND_STAGE

    until: Annotated[
        float,
        Meta(gt=1, description="end of the second stage, as a fraction of the training"),
        NotTuned("decides the cost"),
    ] = 1 + 10 / 90

    def phases(self) -> list[Phase]:
        """Return the whole training and the second stage."""
        return balanced_second_stage(self.until, classifier="scale")


@hookimpl
def ltbench_regimes() -> list[type[Regime]]:
    return [Lws]
