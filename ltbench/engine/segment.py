"""A segment of a training: a span of steps with one set of techniques."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from ltbench.executor import Techniques
from ltbench.planning.compute_cost import has_fixed_images
from ltbench.stages import Augment, Auxiliary, Loss, Mix, Sampler, Technique, Update, Weight


class Reading(msgspec.Struct, frozen=True):
    """How images are augmented: not at all, by one technique, or by one that follows another."""

    augment: Augment | None
    first: Augment | None = None
    """The augmentation that `augment` follows."""

    @classmethod
    def of(cls, spec: Mapping[str, Any] | None, first: Mapping[str, Any] | None, registry: Techniques) -> Reading:
        """Build the techniques of two specs."""
        return cls(*(None if part is None else registry.build_as(part, Augment) for part in (spec, first)))


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """A segment with its techniques built from the spec (see `ltbench.core.spec`)."""

    until: float
    sampler: Sampler
    reading: Reading
    mix: Mix | None
    partner: Sampler | None
    """The sampler of the second stream, which the mix asks for."""
    loss: Loss
    weight: Weight | None
    auxiliary: Auxiliary | None
    views: tuple[Reading | None, ...]
    """The views of the auxiliary; None for that of the training."""
    update: Update | None
    trainable: Literal["all", "classifier"]
    restart: bool
    lr_scale: float
    average: Literal["continue", "restart"]
    """Whether a moving average of the weights restarts with the segment."""
    weight_decay_scale: float
    classifier: Literal["keep", "fresh", "scale"]
    batch_norm: Literal["", "learn", "statistics", "frozen"]
    max_norm: float | None
    has_fixed_images: bool
    """Whether a frozen backbone gets the same images in every epoch."""

    @classmethod
    def of(cls, spec: Mapping[str, Any], registry: Techniques) -> Segment:
        """Build a segment from its spec."""
        techniques: dict[str, Any] = {
            kind.stage: None if spec.get(kind.stage) is None else registry.build_as(spec[kind.stage], kind)
            for kind in (Sampler, Mix, Loss, Weight, Auxiliary, Update)
        }
        views = spec.get("views") or (() if techniques["auxiliary"] is None else (None,))
        return cls(
            **techniques,
            reading=Reading.of(spec["augment"], spec.get("augment_first"), registry),
            partner=None if "partner" not in spec else registry.build_as(spec["partner"], Sampler),
            views=tuple(view and Reading.of(view, view.get("augment_first"), registry) for view in views),
            until=spec["until"],
            trainable=spec["trainable"],
            restart=spec["restart"],
            lr_scale=spec["lr_scale"],
            average=spec.get("average", "continue"),
            weight_decay_scale=spec.get("weight_decay_scale", 1.0),
            classifier=spec.get("classifier", "keep"),
            batch_norm=spec.get("batch_norm", ""),
            max_norm=spec.get("max_norm"),
            has_fixed_images=has_fixed_images(spec),
        )

    @property
    def techniques(self) -> list[Technique]:
        """Its techniques, in stage order."""
        parts = (self.sampler, self.reading.augment, self.mix, self.loss, self.weight, self.auxiliary, self.update)
        return [part for part in parts if part is not None]

    def __str__(self) -> str:
        return ", ".join(f"{technique.stage} {technique.label}" for technique in self.techniques)
