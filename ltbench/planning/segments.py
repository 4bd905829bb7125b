"""From the phases of a regime to the segments of a training, with every switch resolved."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ltbench.core.spec import Spec
from ltbench.executor import Techniques
from ltbench.planning.combinations import Combination
from ltbench.stages import Dataset, Phase, Regime
from ltbench.technique import Technique

TRAINING_STAGES = ("sampler", "augment", "mix", "loss", "weight")


class Phases:
    """Segments of combinations, made once each."""

    def __init__(
        self,
        regimes: Sequence[Regime],
        baselines: Mapping[str, Technique | None],
        registry: Techniques,
        spec: Callable[[Technique], Spec],
    ) -> None:
        """regimes: those of the suite, without the baseline; spec: returns that of a technique, always the same object."""
        self._regimes, self._baselines, self._registry, self._spec = regimes, baselines, registry, spec
        self._segments: dict[tuple[str, int], list[Spec]] = {}

    def segments(self, combination: Combination, trained: int, regime: Regime, dataset: Dataset) -> list[Spec]:
        """Return the segments of a combination under its regime; equal neighbours are one.

        trained: a number for what the combination trains with.
        """
        short = (dataset.augment, trained)
        if short in self._segments:
            return self._segments[short]
        segments: list[Spec] = []
        for phase in regime.phases():
            segment = self._segment(combination, phase, dataset)
            if segments and not phase.restart and segments[-1] | {"until": 0} == segment | {"until": 0}:
                segments[-1] = segment
            else:
                segments.append(segment)
        self._segments[short] = segments
        return segments

    def beginnings(self, combination: Combination, dataset: Dataset) -> list[list[Spec]]:
        """Return the first phase of each regime of the suite under a combination, as the segments of a training."""
        firsts = [next(iter(regime.phases())) for regime in self._regimes]
        return [[self._segment(combination, phase, dataset)] for phase in firsts]

    def _segment(self, combination: Combination, phase: Phase, dataset: Dataset) -> Spec:
        """Return a phase under a combination. A technique that is switched off gives way to its baseline."""
        segment: Spec = {
            "until": float(phase.until),
            "trainable": phase.trainable,
            "restart": phase.restart,
            "lr_scale": float(phase.lr_scale),
        }
        for stage in TRAINING_STAGES:
            technique = combination.by_stage.get(stage) if getattr(phase, stage) else None
            technique = technique or self._own(stage, dataset)
            still = phase.still and stage == "augment"
            segment[stage] = None if technique is None or still else self._spec(technique)
        return segment

    def _own(self, stage: str, dataset: Dataset) -> Technique | None:
        """Return what a stage does where nothing is picked: the data set's own augmentation, or the baseline."""
        text = dataset.augment if stage == "augment" else ""
        return self._registry.parse(text, "augment") if text else self._baselines.get(stage)
