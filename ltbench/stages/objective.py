"""The objective: what a training minimises, and how a step goes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar

from msgspec import Meta

from ltbench.stages.training_context import Adaptive, Moment, Outputs
from ltbench.technique import Technique
from ltbench.tune import Tune

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer


class Loss(Adaptive, frozen=True):
    """The loss of each sample."""

    stage: ClassVar[str] = "loss"
    for_branches: ClassVar[int] = 0
    """The only number of branches that it can be used with, besides none; 0 for any number."""

    def per_sample(self, logits: Tensor, labels: Tensor, counts: Tensor) -> Tensor:
        """Return the loss of each sample, float [B]. logits: float [B, C]; labels: int64 [B]; counts: int64 [C]."""
        raise NotImplementedError

    def of(self, outputs: Outputs, labels: Tensor, counts: Tensor, moment: Moment) -> Tensor:
        """Return the loss of each sample, float [B], with access to features, branches, moment and state.

        The harness calls this method, which by default returns the mean of `per_sample` over the branches. With a mix, it
        is called once for each of the two labels of the blended images.
        """
        if len(outputs.branches) == 1:
            return self.per_sample(outputs.logits, labels, counts)
        losses = [self.per_sample(logits, labels, counts) for logits in outputs.branches]
        return sum(losses[1:], losses[0]) / len(losses)


class Weight(Technique, frozen=True):
    """Class weights from class counts."""

    stage: ClassVar[str] = "weight"

    def weights(self, counts: Tensor) -> Tensor:
        """Return the weight of each class, float [C], a factor of the per-sample loss. counts: int64 [C]."""
        raise NotImplementedError

    def reduce(self, losses: Tensor, weights: Tensor) -> Tensor:
        """Return the loss of the batch. losses: weighted, float [B]; weights: those of the samples, float [B]."""
        return losses.mean()


class Auxiliary(Adaptive, frozen=True):
    """A second term of the objective, computed from a whole batch: contrastive learning, distillation, diversity."""

    stage: ClassVar[str] = "auxiliary"
    momentum: ClassVar[float | None] = None
    """Decay of a moving average of network and module, whose outputs are in `Outputs.slow`; None for none."""
    slow_only: ClassVar[tuple[int, ...]] = ()
    """Numbers of the views that the moving average alone gets, such as the keys of a queue: their outputs are `slow` and
    nothing else, and the other views have no `slow`. By default both networks get all views."""
    replaces_loss: ClassVar[bool] = False
    """Whether the term is the whole objective: loss, class weights and mix of the combination have no effect with it."""
    weight: Annotated[
        float, Meta(gt=0, description="factor of the term in the objective"), Tune(0.25, 4.0, log=True)
    ] = 1.0

    @property
    def views(self) -> tuple[str, ...]:
        """The views of each image that the term gets, as augmentations in command-line notation; empty for the training's.

        All of them pass through the network in one batch, never blended. By default one view, that of the training.
        """
        return ("",)

    @property
    def teacher(self) -> str:
        """The techniques of a teacher, in command-line notation with commas; by default there is none. May be a field.

        It is trained before, with data, model, recipe and seed of the cell, and with no other technique. Its logits are in
        `Outputs.teacher`.
        """
        return ""

    def term(self, views: Sequence[Outputs], labels: Tensor, counts: Tensor, moment: Moment) -> Tensor:
        """Return the term, float []. views: in the order of `self.views`; labels: int64 [B]; counts: int64 [C]."""
        raise NotImplementedError


Closure = Callable[..., "Tensor"]
"""Called without arguments or with a factor of the loss of each sample, float [B]: sets the gradients to those of the
objective and returns it, float []."""


class Update(Technique, frozen=True):
    """How a step changes the weights."""

    stage: ClassVar[str] = "update"
    passes: ClassVar[int] = 1
    """How often a step passes the batch through the network, for estimates of cost."""

    def step(self, closure: Closure, optimizer: Optimizer, labels: Tensor, counts: Tensor, moment: Moment) -> None:
        """Do one step: call `closure`, once or several times, and `optimizer.step()`.

        Every call sees the same images with the same random draws, and only the first changes batch statistics. labels:
        int64 [B], of a blended image the first one; counts: int64 [C].
        """
        raise NotImplementedError
