"""A segment of a training: a span of steps with one set of techniques."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from ltbench.executor import Techniques
from ltbench.planning.compute_cost import has_fixed_images
from ltbench.stages import Augment, Loss, Mix, Sampler, Technique, Weight


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """A segment with its techniques built from the spec (see `ltbench.core.spec`)."""

    until: float
    sampler: Sampler
    augment: Augment | None
    mix: Mix | None
    loss: Loss
    weight: Weight | None
    trainable: Literal["all", "classifier"]
    restart: bool
    lr_scale: float
    average: Literal["continue", "restart"] = "continue"
    """Whether a moving average of the weights restarts with the segment."""
    augment_first: Augment | None = None
    """The data set's own augmentation, if `augment` follows it."""
    partner: Sampler | None = None
    """The sampler of the second stream, if `mix` has one."""
    has_fixed_images: bool
    """Whether a frozen backbone gets the same images in every epoch."""

    @classmethod
    def of(cls, spec: Mapping[str, Any], registry: Techniques) -> Segment:
        """Build a segment from its spec."""
        techniques = {
            kind.stage: None if spec[kind.stage] is None else registry.build_as(spec[kind.stage], kind)
            for kind in (Sampler, Augment, Mix, Loss, Weight)
        }
        companions = {
            name: registry.build_as(spec[name], kind)
            for name, kind in (("augment_first", Augment), ("partner", Sampler))
            if name in spec
        }
        return cls(**{**spec, **techniques, **companions, "has_fixed_images": has_fixed_images(spec)})

    @property
    def techniques(self) -> list[Technique]:
        """Its techniques, in stage order."""
        return [t for t in (self.sampler, self.augment, self.mix, self.loss, self.weight) if t is not None]

    def __str__(self) -> str:
        return ", ".join(f"{technique.stage} {technique.label}" for technique in self.techniques)
