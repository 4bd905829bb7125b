"""Balanced contrastive learning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from ltbench import Auxiliary, Meta, Moment, NotTuned, Outputs, Tune, hookimpl
from ltbench.errors import JobFailed
from ltbench_plugins.auxiliaries._contrast import SIMCLR, log_shares, mean_of_positives, project

if TYPE_CHECKING:
    from torch import Tensor, nn


class Bcl(Auxiliary, frozen=True):
    """Supervised contrastive term in which every class counts the same and every class is in every batch.

        term = mean_i mean_{p in P(i)} -log( exp(z_i z_p / t) / sum_j mean_{k in class j, k != i} exp(z_i z_k / t) )

    Class averaging: the denominator has the mean of each class instead of the sum over all images. Class complement: each
    class also has a centre, a projection of its weights in the classifier, which is contrasted like an image of it. The two
    further views of each image are contrasted; the classifier sees the training's own.

    The authors use `logit_adjust` as the loss, a cosine classifier, AutoAugment and Cutout for the view of the classifier,
    and for CIFAR factors of 2 for the loss and 0.6 for the term; the default weight is that of their code.

    Source: Zhu et al., Balanced Contrastive Learning for Long-Tailed Visual Recognition, CVPR 2022, section 4.2.
    """

    name = "bcl"

    weight: Annotated[
        float, Meta(gt=0, description="factor of the term in the objective"), Tune(0.1, 1.0, log=True)
    ] = 0.35
    temperature: Annotated[float, Meta(gt=0, description="divides the similarities"), Tune(0.03, 0.3, log=True)] = 0.1
    dimension: Annotated[int, Meta(ge=8, description="width of the projection"), NotTuned("decides the cost")] = 128
    hidden: Annotated[
        int, Meta(ge=2, description="width of the hidden layers of the projections"), NotTuned("decides the cost")
    ] = 512

    @property
    def views(self) -> tuple[str, ...]:
        """Those of SimCLR."""
        return SIMCLR

    def learns(self, features: int, classes: int, counts: Tensor) -> nn.Module | None:
        """Return the projections of features and of class weights."""
        from ltbench_plugins.auxiliaries._modules import CentredProjector

        if classes < 2:
            raise JobFailed("auxiliary 'bcl' needs at least two classes", why="it contrasts each with the others")
        return CentredProjector(features, self.dimension, self.hidden)

    def term(self, views: Sequence[Outputs], labels: Tensor, counts: Tensor, moment: Moment) -> Tensor:
        """Return the term, float []. views: of SimCLR; labels: int64 [B]; counts: int64 [C]."""
        import torch

        own = views[0].own
        rows, centres = project(own, views), own.centres(views[0].layers)
        anchors = labels.repeat(len(views))
        columns = torch.cat([anchors, torch.arange(len(counts), device=labels.device)])
        contrasted = torch.ones(len(anchors), len(columns), dtype=torch.bool, device=labels.device)
        contrasted.fill_diagonal_(fill_value=False)
        positives = (anchors[:, None] == columns) & contrasted
        # A mean over the class of the view itself does not have that view.
        sizes = columns.bincount(minlength=len(counts))[columns] - positives.long()
        similarities = rows @ torch.cat([rows, centres], dim=1).mT / self.temperature
        return -mean_of_positives(log_shares(similarities, contrasted, -sizes.to(rows.dtype).log()), positives)


@hookimpl
def ltbench_auxiliaries() -> list[type[Auxiliary]]:
    return [Bcl]
