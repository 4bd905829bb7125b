"""Parametric contrastive learning."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from ltbench import Auxiliary, Meta, Moment, NotTuned, Outputs, Tune, hookimpl
from ltbench_plugins._notes import WITH_ANOTHER_CORRECTION
from ltbench_plugins.auxiliaries._contrast import log_shares, project
from ltbench_plugins.losses._priors import log_prior

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from ltbench.stages import State

_CONFLICTS: Mapping[str, str] = {
    **dict.fromkeys(("loss", "weight", "mix"), "the term is the whole objective"),
    "branches": "the queue has the projections of one classifier",
}


class Paco(Auxiliary, frozen=True):
    """Contrastive term over images, a queue and learnt class centres, which are the classifier; it replaces the loss.

        term = mean_i sum_{p in P(i) or p = c_{y_i}} -w_p log( exp(s_ip) / (sum_c exp(s_ic) + gamma sum_{a in A(i)} exp(s_ia)) )

    i: images of the training's view; A(i): the other images of the batch, the second view of all images and the queue;
    P(i): those of the class of i. s_ic: the logit of class c plus the logarithm of its prior, as in `balanced_softmax`;
    s_ia: the cosine of the projections divided by the temperature. w is `beta` for the centre and `alpha` for images. So
    the pull of a frequent class, which has many positives, is limited. The second view and the queue are projections by a
    moving average of the network (momentum 0.999), which gets nothing else. The queue starts empty.

    The authors' code divides the sum for each image by the sum of its w: `normalised`. It uses AutoAugment and Cutout for
    the view of the classifier.

    Source: Cui et al., Parametric Contrastive Learning, ICCV 2021, section 3 (the PaCo loss).
    """

    name = "paco"
    momentum = 0.999
    slow_only = (1,)
    replaces_loss = True
    conflicts = _CONFLICTS
    doubtful = WITH_ANOTHER_CORRECTION

    weight: Annotated[
        float, Meta(gt=0, description="factor of the objective"), NotTuned("acts like the learning rate")
    ] = 1.0
    alpha: Annotated[
        float, Meta(ge=0, description="weight of each image of the same class"), Tune(0.005, 0.1, log=True)
    ] = 0.01
    beta: Annotated[float, Meta(gt=0, description="weight of the centre of the class"), Tune(0.5, 2.0, log=True)] = 1.0
    gamma: Annotated[
        float, Meta(ge=0, description="factor of the images in the denominator"), Tune(0.5, 2.0, log=True)
    ] = 1.0
    temperature: Annotated[
        float, Meta(gt=0, description="divides the similarities of images"), Tune(0.03, 0.3, log=True)
    ] = 0.05
    dimension: Annotated[int, Meta(ge=8, description="width of the projection"), NotTuned("decides the cost")] = 32
    queue: Annotated[
        int, Meta(ge=1, description="projections of earlier images that are kept"), NotTuned("decides the cost")
    ] = 1024
    normalised: Annotated[bool, Meta(description="divide by the sum of the weights, as in the authors' code")] = False

    def without_effect(self) -> tuple[str, ...]:
        if self.alpha:
            return ()
        off = () if self.gamma else ("temperature", "dimension", "queue")
        return (*off, "beta", "normalised") if self.normalised else off

    @property
    def views(self) -> tuple[str, ...]:
        """That of the training, and one of SimCLR."""
        return ("", "simaugment")

    def learns(self, features: int, classes: int, counts: Tensor) -> nn.Module | None:
        """Return the projection."""
        from ltbench_plugins.auxiliaries._modules import Projector

        return Projector(features, self.dimension)

    def remembers(self, features: int, classes: int, counts: Tensor, generator: Generator) -> State:
        """Return an empty queue: labels of -1."""
        import torch

        return {"queue": torch.zeros(self.queue, self.dimension), "labels": torch.full((self.queue,), -1)}

    def term(self, views: Sequence[Outputs], labels: Tensor, counts: Tensor, moment: Moment) -> Tensor:
        """Return the term, float []. views: of training and SimCLR; labels: int64 [B]; counts: int64 [C]."""
        import torch

        state, own = views[0].state, views[0].own
        queries, keys = project(own, views[:1])[0], _keys(views[1])
        others = torch.cat([queries, keys, state["queue"]])
        others_labels = torch.cat([labels, labels, state["labels"]])
        is_there = (others_labels >= 0).repeat(len(labels), 1)
        is_there.fill_diagonal_(fill_value=False)
        positives = (labels[:, None] == others_labels) & is_there

        centres = views[0].logits + log_prior(counts, views[0].logits)
        similarities = torch.cat([centres, queries @ others.T / self.temperature], dim=1)
        pad = torch.nn.functional.pad
        contrasted = pad(is_there if self.gamma else is_there & False, (len(counts), 0), value=True)
        log_gamma = pad(similarities.new_full(is_there.shape, math.log(self.gamma or 1)), (len(counts), 0))
        of_centre = self.beta * torch.nn.functional.one_hot(labels, len(counts))
        weights = torch.cat([of_centre, self.alpha * positives], dim=1)
        sums = (weights * log_shares(similarities, contrasted, log_gamma)).sum(1)
        return -(sums / weights.sum(1) if self.normalised else sums).mean()

    def after_step(self, outputs: Outputs, batch: Any, network: nn.Module, state: State) -> State:
        """Return the queue with the projections of the second view in place of the oldest ones."""
        import torch

        keys = torch.cat([state["queue"], _keys(outputs.views[1])])
        labels = torch.cat([state["labels"], batch.labels_a])
        return {"queue": keys[-self.queue :], "labels": labels[-self.queue :]}


def _keys(view: Outputs) -> Tensor:
    assert view.slow is not None
    return project(view.slow.own, [view.slow])[0]


@hookimpl
def ltbench_auxiliaries() -> list[type[Auxiliary]]:
    return [Paco]
