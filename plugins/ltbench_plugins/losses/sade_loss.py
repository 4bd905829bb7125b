"""SADE's losses of three experts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Loss, Meta, Tune, hookimpl
from ltbench_plugins._notes import WITH_ANOTHER_CORRECTION
from ltbench_plugins.losses._experts import NEEDS_EXPERTS, branches_of
from ltbench_plugins.losses._priors import log_prior, nll

if TYPE_CHECKING:
    from torch import Tensor

    from ltbench import Moment, Outputs


class SadeLoss(Loss, frozen=True):
    """Losses of three experts: for the head, for balanced classes, for the reversed tail; their sum.

    Cross entropy of the logits of the first expert; of those of the second plus log pi (balanced softmax); of those of
    the third plus log pi - tau log pi', where pi is the class prior and pi' the inverse one: the class of rank k by size
    has the prior of rank C + 1 - k. So each expert is good for another distribution of test classes. With tau = 0 the
    third is as the second.

    At test time the logits of the experts are averaged; the authors weigh them on unlabelled test images, as the posthoc
    `sade_aggregation` does. They use a cosine head of scale 30.

    Source: Zhang et al., Self-Supervised Aggregation of Diverse Experts for Test-Agnostic Long-Tailed Recognition,
    NeurIPS 2022, the losses of the forward, uniform and backward experts.
    """

    name = "sade_loss"
    needs = NEEDS_EXPERTS
    doubtful = WITH_ANOTHER_CORRECTION
    for_branches = 3

    tau: Annotated[
        float, Meta(ge=0, description="strength of the inverse prior for the third expert"), Tune(1.0, 3.0)
    ] = 2.0

    def of(self, outputs: Outputs, labels: Tensor, counts: Tensor, moment: Moment) -> Tensor:
        """Return the loss of each sample, float [B]. Raises `JobFailed` unless there are three branches."""
        head, balanced, tail = branches_of(self, outputs, 3)
        prior = log_prior(counts, head)
        return (
            nll(head, labels) + nll(balanced + prior, labels) + nll(tail + prior - self.tau * _inverse(prior), labels)
        )


def _inverse(prior: Tensor) -> Tensor:
    """Return each class's value of the mirrored rank, [C]; equal values are ranked by class."""
    order = prior.argsort(stable=True)
    return prior.new_zeros(len(prior)).scatter(0, order, prior[order.flip(0)])


@hookimpl
def ltbench_losses() -> list[type[Loss]]:
    return [SadeLoss]
