"""Compact classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from ltbench import Auxiliary, Meta, Moment, Outputs, Tune, hookimpl

if TYPE_CHECKING:
    from torch import Tensor

LTBENCH_API = 1  # version of the ltbench hooks that this module implements


class MyAuxiliary(Auxiliary, frozen=True):
    """Pull the features of each image to the mean of its class in the batch.

    The term is the mean squared distance. With branches it is the mean over them.

    Source: FILL IN (authors, title, year, equation).
    """

    name = "my_auxiliary"

    weight: Annotated[
        float, Meta(gt=0, description="factor of the term in the objective"), Tune(0.01, 1.0, log=True)
    ] = 0.1

    def term(self, views: Sequence[Outputs], labels: Tensor, counts: Tensor, moment: Moment) -> Tensor:
        """Return the term, float []. views: one, that of the training; labels: int64 [B]; counts: int64 [C]."""
        import torch

        features = views[0].features  # float [E, B, D], where E is the number of branches
        of_class = torch.nn.functional.one_hot(labels, len(counts)).to(features.dtype)
        means = of_class.T @ features / of_class.sum(0).clamp(min=1)[:, None]
        distances: Tensor = (features - means[:, labels]).square().sum(2)
        return distances.mean()


@hookimpl
def ltbench_auxiliaries() -> list[type[Auxiliary]]:
    return [MyAuxiliary]
