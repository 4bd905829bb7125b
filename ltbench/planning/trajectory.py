"""The segments of a training, which passes through a state at the end of each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from ltbench.core.spec import Spec, canonical


class Segments:
    """The segments of a training, in order; equal where their canonical text is."""

    def __init__(self, specs: list[Spec]) -> None:
        self.specs = specs
        self._text = canonical(specs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Segments) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)


def resumable(segment: Mapping[str, Any]) -> Spec:
    """Return the common part of two segments, if the shorter one is the beginning of the longer one."""
    # A restarted segment has a learning-rate schedule over its own span, so another end gives another schedule.
    return dict(segment) if segment["restart"] else {k: v for k, v in segment.items() if k != "until"}


def cut(segments: Segments, until: float) -> Segments | None:
    """Return the beginning of a training up to a fraction of its length; None if it passes through no such state."""
    kept: list[Spec] = []
    for segment in segments.specs:
        kept.append(segment)
        if math.isclose(segment["until"], until):
            return Segments(kept)
        if segment["until"] > until:
            return None if segment["restart"] else Segments([*kept[:-1], segment | {"until": until}])
    return None


def epoch_ends(fit: Mapping[str, Any], segments: Segments) -> Iterator[Segments]:
    """Yield the beginnings of a training up to the end of each epoch, and the whole of it. fit: its spec.

    Only since the training last began anew, as the learning rates of such a phase belong to its whole length.
    """
    begins = max((one["until"] for one in segments.specs if one["restart"]), default=0.0)
    end, epochs = segments.specs[-1]["until"], fit["recipe"]["epochs"]
    for epoch in range(1, math.ceil(end * epochs)):
        until = epoch / epochs
        part = cut(segments, until) if begins <= until < end and not math.isclose(until, end) else None
        if part is not None:
            yield part
    yield segments
