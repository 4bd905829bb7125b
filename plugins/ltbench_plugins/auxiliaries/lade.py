"""Regulariser that makes logits independent of the class prior."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from ltbench import Auxiliary, Meta, Moment, Outputs, Tune, hookimpl
from ltbench_plugins._notes import WITH_BALANCED_SAMPLERS

if TYPE_CHECKING:
    from torch import Tensor


class Lade(Auxiliary, frozen=True):
    """Regulariser that makes each logit the log density ratio of its class (label distribution disentangling).

        term = sum_c prior_c ( -mean_{y_i = c} z_ic + s_c + remine_lambda s_c^2 )
        s_c = log( 1/B sum_i (1/C) / prior_{y_i} exp(z_ic) )

    s_c is the logarithm of the mean of exp(z_c) over images of a balanced set, estimated by weighing the images of the
    batch; it is 0 for a density ratio. The sum runs over the classes of the batch. The authors' code weighs by the class
    of the logit instead of that of the image, and sums over all classes: `form=code`.

    The authors add it to `balanced_softmax` as the loss, with a weight (their alpha) of 0.1.

    Source: Hong et al., Disentangling Label Distribution for Long-tailed Visual Recognition, CVPR 2021, section 3.3.
    """

    name = "lade"
    doubtful = WITH_BALANCED_SAMPLERS

    weight: Annotated[
        float, Meta(gt=0, description="factor of the term in the objective"), Tune(0.01, 0.5, log=True)
    ] = 0.1
    remine_lambda: Annotated[
        float,
        Meta(ge=0, description="factor of the square, which keeps the estimate stable"),
        Tune(0.001, 0.1, log=True),
    ] = 0.01
    form: Annotated[Literal["paper", "code"], Meta(description="by which class images are weighed")] = "paper"

    def term(self, views: Sequence[Outputs], labels: Tensor, counts: Tensor, moment: Moment) -> Tensor:
        """Return the term, float []. views: one; labels: int64 [B]; counts: int64 [C]. With branches, the mean over them."""
        import math

        import torch

        logits = views[0].branches
        prior = counts.clamp(min=1).to(logits.dtype)
        prior = prior / prior.sum()
        of_class = torch.nn.functional.one_hot(labels, len(counts)).to(logits.dtype)
        number = of_class.sum(0)
        log_weights = -prior.log() - math.log(len(counts))
        weighed = logits + (log_weights[labels, None] if self.form == "paper" else log_weights)
        estimate = weighed.logsumexp(1) - math.log(len(labels))
        own_logit = (logits * of_class).sum(1) / number.clamp(min=1)
        of_classes = prior * (-own_logit + estimate + self.remine_lambda * estimate**2)
        if self.form == "paper":
            of_classes = of_classes * (number > 0)
        term: Tensor = of_classes.sum(-1).mean()
        return term


@hookimpl
def ltbench_auxiliaries() -> list[type[Auxiliary]]:
    return [Lade]
