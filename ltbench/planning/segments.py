"""Turns the phases of a regime into the segments of a training, with every switch resolved."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ltbench.core.spec import Spec
from ltbench.planning.combinations import Combination
from ltbench.planning.shared_fits import Segments, resumable
from ltbench.stages import TRAINING_STAGES, Phase, Regime
from ltbench.technique import Technique


class SegmentBuilder:
    """Builds the segments of trainings."""

    def __init__(
        self,
        regimes: Sequence[Regime],
        baselines: Mapping[str, Technique | None],
        parse: Callable[[str, str], Technique],
        spec: Callable[[Technique], Spec],
    ) -> None:
        """regimes: of the suite, without the baseline; parse, spec: as in `Registry`."""
        self._regimes, self._baselines, self._parse, self._spec = regimes, baselines, parse, spec

    def trajectory(
        self, combination: Combination, regime: Regime, augment: str, *, averaged: bool
    ) -> tuple[Segments, list[Segments]]:
        """Return the segments of a training, and intermediate states that trainings of a later part may resume from.

        Equal neighbours are merged. The states are at the ends of the first phases of the suite's regimes.
        augment: the data set's own augmentation, as written on a command line; empty for none.
        averaged: whether the recipe has a moving average of the weights, which restarts when a segment restarts.
        """
        segments: list[Spec] = []
        for phase in regime.phases():
            segment = self._segment(combination, phase, augment)
            if averaged and phase.restart and segments:
                segment["average"] = "restart"  # only set if true, because most identities are older than this key
            # A switch of a technique that is not picked changes nothing; the plain training has the same segment.
            if segments and not phase.restart and segments[-1] | {"until": 0} == segment | {"until": 0}:
                segments[-1] = segment
            else:
                segments.append(segment)
        first = segments[0]
        phases = [next(iter(regime.phases())) for regime in self._regimes]
        beginnings = [self._segment(combination, phase, augment) for phase in phases if phase.until < first["until"]]
        foreseen = [Segments([segment]) for segment in beginnings if resumable(segment) == resumable(first)]
        return Segments(segments), foreseen

    def _segment(self, combination: Combination, phase: Phase, augment: str) -> Spec:
        """Return the segment of a phase. A technique that is switched off is replaced by its baseline."""
        segment: Spec = {
            "until": float(phase.until),
            "trainable": phase.trainable,
            "restart": phase.restart,
            "lr_scale": float(phase.lr_scale),
        }
        for stage in TRAINING_STAGES:
            technique = combination.by_stage.get(stage) if getattr(phase, stage) else None
            technique = technique or self._default(stage, augment)
            still = phase.still and stage == "augment"
            segment[stage] = None if technique is None or still else self._spec(technique)
        return segment

    def _default(self, stage: str, augment: str) -> Technique | None:
        """Return the default of a stage: the data set's own augmentation, or the baseline."""
        own = stage == "augment" and augment
        return self._parse(augment, "augment") if own else self._baselines.get(stage)
