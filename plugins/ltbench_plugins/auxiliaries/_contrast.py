"""What contrastive terms have in common: projections on the unit sphere, and who is contrasted with whom.

E: branches of the network, 1 if there are none; a term is the mean over them. M: all views of all images of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import msgspec

from ltbench import Auxiliary, Meta, Moment, NotTuned, Outputs, Tune

if TYPE_CHECKING:
    from torch import Tensor, nn

SIMCLR = ("simaugment", "simaugment")
"""Two views of each image, augmented as in SimCLR."""


class Pairs(msgspec.Struct, frozen=True):
    """Similarities of the views of a batch, and which of them are of one class."""

    similarities: Tensor
    """float [E, M, M], divided by the temperature"""
    others: Tensor
    """bool [M, M]: all but the view itself"""
    positives: Tensor
    """bool [M, M]: the others of the same class"""
    siblings: Tensor
    """bool [M, M]: the other views of the same image"""


class Contrastive(Auxiliary, frozen=True):
    """A term of the similarities between the views of a batch, after a projection that it learns."""

    temperature: Annotated[
        float,
        Meta(gt=0, description="divides the similarities; small ones weigh hard pairs"),
        Tune(0.03, 0.3, log=True),
    ] = 0.1
    dimension: Annotated[int, Meta(ge=8, description="width of the projection"), NotTuned("decides the cost")] = 128
    one_view: Annotated[
        bool, Meta(description="contrast the training images themselves instead of two further views of each")
    ] = False

    @property
    def views(self) -> tuple[str, ...]:
        """Those of SimCLR, or that of the training."""
        return ("",) if self.one_view else SIMCLR

    def learns(self, features: int, classes: int, counts: Tensor) -> nn.Module | None:
        """Return the projection."""
        from ltbench_plugins.auxiliaries._modules import Projector

        return Projector(features, self.dimension)

    def pairs(self, views: Sequence[Outputs], labels: Tensor) -> Pairs:
        """Return who is contrasted with whom, by the projections of the views."""
        return self.pairs_of(project(views[0].own, views), labels)

    def pairs_of(self, rows: Tensor, labels: Tensor) -> Pairs:
        """Return who is contrasted with whom. rows: projections float [E, M, d], view by view; labels: int64 [B]."""
        import torch

        number = rows.shape[1] // len(labels)
        classes, images = (of.repeat(number) for of in (labels, torch.arange(len(labels), device=labels.device)))
        others = ~torch.eye(len(classes), dtype=torch.bool, device=labels.device)
        return Pairs(
            similarities=rows @ rows.mT / self.temperature,
            others=others,
            positives=(classes[:, None] == classes) & others,
            siblings=(images[:, None] == images) & others,
        )


def project(own: nn.Module | None, views: Sequence[Outputs]) -> Tensor:
    """Return the normalised projections of all views, float [E, M, d], view by view."""
    import torch

    assert own is not None
    features = torch.cat([view.features for view in views], dim=1)
    rows = torch.nn.functional.normalize(own(features.flatten(0, 1)), dim=1)
    return rows.view(*features.shape[:2], -1)


def log_shares(similarities: Tensor, contrasted: Tensor, log_weights: Tensor | None = None) -> Tensor:
    """Return similarities minus the logarithm of the weighted sum of the exponentials of those that are contrasted.

    similarities: float [E, M, N]; contrasted: bool [M, N]; log_weights: float [M, N], 0 by default.
    """
    import torch

    # Finite, so that a row without any has finite gradients; what it gives is never a positive.
    nothing = torch.finfo(similarities.dtype).min / 2
    weighted = similarities if log_weights is None else similarities + log_weights
    return similarities - weighted.masked_fill(~contrasted, nothing).logsumexp(-1, keepdim=True)


def mean_of_positives(values: Tensor, positives: Tensor) -> Tensor:
    """Return the mean over the positives of each row, then over the rows that have one and over branches, float [].

    values: float [E, M, N]; positives: bool [M, N]. 0 if there are no positives.
    """
    number = positives.sum(-1)
    of_rows = values.masked_fill(~positives, 0).sum(-1) / number.clamp(min=1)
    return of_rows.sum(-1).mean() / (number > 0).sum().clamp(min=1)


def random_positives(positives: Tensor, k: int, seed: Tensor, moment: Moment) -> Tensor:
    """Return k of the positives of each row, or all if there are fewer, drawn without replacement: bool [M, M].

    seed: int64 [], what the technique remembers. Draws depend on seed and step alone, so that a resumed training has the same.
    """
    import torch

    if k >= positives.shape[1]:
        return positives
    # On the CPU, where the numbers are the same for every device.
    generator = torch.Generator().manual_seed(int(seed) + moment.step)
    order = torch.rand(positives.shape, generator=generator).to(positives.device)
    chosen = order.masked_fill(~positives, 2.0).topk(k, dim=1, largest=False).indices
    return torch.zeros_like(positives).scatter(1, chosen, value=True) & positives


def draw_seed(generator: object) -> Tensor:
    """Return a seed for `random_positives`, int64 []."""
    import torch

    return torch.randint(1 << 62, (), generator=generator)  # type: ignore[call-overload,no-any-return]
