"""Targeted supervised contrastive learning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from ltbench import Auxiliary, Meta, Moment, Outputs, Tune, hookimpl
from ltbench_plugins.auxiliaries._contrast import (
    Contrastive,
    draw_seed,
    log_shares,
    mean_of_positives,
    project,
    random_positives,
)

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from ltbench.stages import State

_KEPT = 0.9
"""Share of a class centre that a batch leaves, as in the authors' code."""


class Tsc(Contrastive, frozen=True):
    """Supervised contrastive term with a fixed target for each class, spread uniformly over the sphere.

        term = kcl term + strength * mean_i -log( exp(z_i t_{y_i} / t) / sum )

    where the sums of both parts also run over all targets. So rare classes get as much room as frequent ones. The targets
    are a regular simplex if they are at most `dimension` + 1, else they are spread by gradient descent. After each step
    they are assigned anew to the classes, so that the sum of the similarities between targets and class centres is as
    large as possible; the centres are moving averages.

    Source: Li et al., Targeted Supervised Contrastive Learning for Long-Tailed Recognition, CVPR 2022, section 3.
    """

    name = "tsc"

    temperature: Annotated[float, Meta(gt=0, description="divides the similarities"), Tune(0.03, 0.3, log=True)] = 0.07
    k: Annotated[
        int, Meta(ge=1, description="positives of each view besides the other views of the same image"), Tune(2, 10)
    ] = 6
    strength: Annotated[
        float, Meta(ge=0, description="factor of the attraction by the targets"), Tune(0.25, 4.0, log=True)
    ] = 1.0

    def learns(self, features: int, classes: int, counts: Tensor) -> nn.Module | None:
        """Return the projection, with the targets."""
        from ltbench_plugins.auxiliaries._modules import TargetedProjector

        return TargetedProjector(features, self.dimension, classes)

    def remembers(self, features: int, classes: int, counts: Tensor, generator: Generator) -> State:
        """Return the seed of the draws, the centre of each class, and the number of its target."""
        import torch

        centres = torch.randn(classes, self.dimension, generator=generator)
        return {
            "seed": draw_seed(generator),
            "centres": torch.nn.functional.normalize(centres, dim=1),
            "target": torch.arange(classes),
        }

    def term(self, views: Sequence[Outputs], labels: Tensor, counts: Tensor, moment: Moment) -> Tensor:
        """Return the term, float []. views: of SimCLR; labels: int64 [B]; counts: int64 [C]."""
        import torch

        own, state = views[0].own, views[0].state
        rows = project(own, views)
        pairs = self.pairs_of(rows, labels)
        drawn = random_positives(pairs.positives & ~pairs.siblings, self.k, state["seed"], moment)
        to_targets = rows @ own.targets.T / self.temperature
        contrasted = torch.nn.functional.pad(pairs.others, (0, len(counts)), value=True)
        shares = log_shares(torch.cat([pairs.similarities, to_targets], dim=2), contrasted)
        size = len(pairs.others)
        column = size + state["target"][labels.repeat(len(views))]
        attraction = shares.gather(2, column[None, :, None].expand(len(shares), -1, 1)).mean()
        return -mean_of_positives(shares[:, :, :size], drawn | pairs.siblings) - self.strength * attraction

    def after_step(self, outputs: Outputs, batch: Any, network: nn.Module, state: State) -> State:
        """Return the state with centres that follow the batch, and targets assigned to them."""
        import torch
        from scipy.optimize import linear_sum_assignment

        rows = project(outputs.own, outputs.views).mean(0)
        labels = batch.labels_a.repeat(len(outputs.views))
        centres = state["centres"]
        of_class = torch.nn.functional.one_hot(labels, len(centres)).to(rows.dtype)
        of_batch = torch.nn.functional.normalize(of_class.T @ rows, dim=1)
        moved = torch.nn.functional.normalize(_KEPT * centres + (1 - _KEPT) * of_batch, dim=1)
        centres = torch.where((of_class.sum(0) > 0)[:, None], moved, centres)
        similarities = (centres @ outputs.own.targets.T).cpu().numpy()
        _, target = linear_sum_assignment(similarities, maximize=True)
        return {**state, "centres": centres, "target": torch.as_tensor(target).to(labels.device)}


@hookimpl
def ltbench_auxiliaries() -> list[type[Auxiliary]]:
    return [Tsc]
