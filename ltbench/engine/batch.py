"""A batch as the feed makes it for a step."""

from __future__ import annotations

from typing import Any

from ltbench.engine.hidden_mix import HiddenMix
from ltbench.stages import Mixed


class Batch(Mixed, frozen=True, kw_only=True):
    """A batch, with the images of further streams and views. `lam` is None without a mix."""

    labels: Any = None
    """int64 [B]: of the images before a mix, which are those of the views"""
    second: Any = None
    """Images of the second stream, for branches that have one: float [B, channels, size, size]"""
    views: tuple[Any, ...] = ()
    """Images of the views of the auxiliary; None where those of the batch are the view."""
    hidden: HiddenMix | None = None
    """The mix that blends the batch inside the network: its labels are those before."""

    @property
    def unblended(self) -> Mixed:
        """The batch before a mix; without images where only their blend is left."""
        return Mixed(
            images=self.images if self.lam is None else None, labels_a=self.labels, labels_b=self.labels, lam=None
        )

    @property
    def passed(self) -> int:
        """Number of images that pass through the network."""
        return len(self.labels_a) * sum(images is not None for images in (self.images, self.second, *self.views))
