"""A batch as the feed makes it for a step."""

from __future__ import annotations

from typing import Any

from ltbench.engine.hidden_mix import HiddenMix
from ltbench.stages import Mixed


class Batch(Mixed, frozen=True, kw_only=True):
    """A batch, with the images of further streams and views. `lam` is None without a mix."""

    second: Any = None
    """Images of the second stream, for branches that have one: float [B, channels, size, size]"""
    views: tuple[Any, ...] = ()
    """Images of the views of the auxiliary; None where those of the batch are the view."""
    hidden: HiddenMix | None = None
    """The mix that blends the batch inside the network: its labels are those before."""
