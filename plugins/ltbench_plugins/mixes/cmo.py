"""Context-rich minority oversampling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from ltbench import Meta, Mix, Mixed, NotTuned, Told, Tune, hookimpl
from ltbench_plugins.mixes._boxes import paste, shares

if TYPE_CHECKING:
    from torch import Generator, Tensor


class Cmo(Mix, frozen=True):
    """CutMix that pastes boxes of images from a second stream of mostly rare classes.

    The images of a batch are the backgrounds. The patches come from a second stream, in which classes are drawn in
    proportion to the inverse of their size (sampler `reverse`). With probability `chance` an image gets a box of its
    partner in that stream; the box keeps a share of the image from Beta(alpha, alpha), and the loss has the share of
    pixels that is left after the box is clipped. With `per_batch` one box, or none, is drawn for all images of a batch,
    as in the authors' code.

    Only epochs from `first` on are blended, and not the last `last`: the paper's code is on while 3 < epoch < epochs - 3,
    counted from 0, so off in the first four epochs and the last three. A training of at most `first + last` epochs
    is never blended.

    `per_image = true` weighs images, not classes, by the inverse of the class size, as the code does with
    `WeightedRandomSampler`: patches are then class-balanced (sampler `cb_sampler`).

    Source: Park et al., The Majority Can Help the Minority: Context-rich Minority Oversampling for Long-tailed
    Classification, CVPR 2022, section 3.2 and algorithm 1.
    """

    name = "cmo"
    doubtful: ClassVar = dict.fromkeys(
        ("cb_sampler", "reweighted_sampler", "balanced_batch", "artificial_balance", "reverse"),
        "the backgrounds, too, are then mostly of rare classes",
    )

    chance: Annotated[float, Meta(ge=0, le=1, description="probability that an image gets a box"), Tune(0.25, 0.75)] = (
        0.5
    )
    alpha: Annotated[
        float, Meta(gt=0, description="the share is drawn from Beta(alpha, alpha)"), Tune(0.25, 4.0, log=True)
    ] = 1.0
    first: Annotated[
        int, Meta(ge=0, description="epochs at the start without boxes"), NotTuned("follows the number of epochs")
    ] = 4
    last: Annotated[
        int, Meta(ge=0, description="epochs at the end without boxes"), NotTuned("follows the number of epochs")
    ] = 3
    per_image: Annotated[bool, Meta(description="class-balanced patches, as in the authors' code")] = False
    per_batch: Annotated[bool, Meta(description="one box for all images of a batch, as in the authors' code")] = False

    def without_effect(self) -> tuple[str, ...]:
        return () if self.chance else ("alpha", "first", "last", "per_image", "per_batch")

    @property
    def partner(self) -> str:  # type: ignore[override]
        return "cb_sampler" if self.per_image else "reverse"

    def blend(self, images: Tensor, told: Told, generator: Generator) -> Mixed:
        """Blend a batch with that of the second stream. images: float [B, channels, size, size]; lam: float [B]."""
        import torch

        assert told.partner is not None
        moment = told.moment
        one_for = images[:1] if self.per_batch else images
        chosen = torch.rand(len(one_for), generator=generator, device=images.device) < self.chance
        if not self.first <= moment.epoch < moment.epochs - self.last:
            chosen = torch.zeros_like(chosen)
        keep = shares(one_for, self.alpha, None, generator).where(chosen, 1)
        blended, kept = paste(images, told.partner.images, keep, generator)
        return Mixed(images=blended, labels_a=told.labels, labels_b=told.partner.labels, lam=kept.expand(len(images)))


@hookimpl
def ltbench_mixes() -> list[type[Mix]]:
    return [Cmo]
