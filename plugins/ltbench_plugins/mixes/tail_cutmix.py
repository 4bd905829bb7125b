"""CutMix of pairs with a tail class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Meta, Mix, Mixed, Tune, hookimpl
from ltbench.errors import ParameterError
from ltbench_plugins.mixes._boxes import Alpha, FixedShare, paste, shares

if TYPE_CHECKING:
    from torch import Generator, Tensor


class TailCutmix(Mix, frozen=True):
    """CutMix, only for pairs with at least one image of a tail class.

    The tail classes are the rarest ones: a fraction `tail` of all classes, rounded and at least one, with ties broken by
    label. The report does not define its tail; the default is the `tail_third` of the leaderboards. Everything else is
    as in `cutmix`; other images are unchanged.

    Source: report schmidt, "Data Augmenting with CutMix"; Yun et al., CutMix: Regularization Strategy to Train Strong
    Classifiers with Localizable Features, 2019, equations 1 and 2.
    """

    name = "tail_cutmix"

    alpha: Alpha = 1.0
    lam: FixedShare | None = None
    tail: Annotated[
        float, Meta(gt=0, lt=1, description="fraction of the classes that are tail classes"), Tune(0.2, 0.6)
    ] = 1 / 3

    def check(self) -> None:
        if self.lam is not None and self.alpha != 1:
            raise ParameterError(f"mix '{self.name}' takes alpha or lam, not both: a fixed lam leaves nothing to draw")

    def without_effect(self) -> tuple[str, ...]:
        return ("tail",) if self.lam == 1 else ()  # every image is kept whole

    def mix(self, images: Tensor, labels: Tensor, counts: Tensor, generator: Generator) -> Mixed:
        """Blend a batch. images: float [B, channels, size, size]; labels: int64 [B]; the result's lam: float [B]."""
        import torch

        partner = torch.randperm(len(images), generator=generator, device=images.device)
        in_tail = self.tail_classes(counts)[labels]
        keep = shares(images, self.alpha, self.lam, generator)
        # A pair without a tail class keeps the whole image: its box is empty.
        keep = keep.where(in_tail | in_tail[partner], 1)
        blended, kept = paste(images, images[partner], keep, generator)
        return Mixed(images=blended, labels_a=labels, labels_b=labels[partner], lam=kept)

    def tail_classes(self, counts: Tensor) -> Tensor:
        """Return a mask of the tail classes, bool [C]."""
        rarest_last = counts.argsort(descending=True, stable=True)
        size = max(1, round(len(counts) * self.tail))
        return counts.new_zeros(counts.shape).bool().index_fill(0, rarest_last[-size:], True)


@hookimpl
def ltbench_mixes() -> list[type[Mix]]:
    return [TailCutmix]
