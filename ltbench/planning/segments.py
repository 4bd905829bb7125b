"""Turns the phases of a regime into the segments of a training, with every switch resolved."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from ltbench.core.spec import Spec
from ltbench.planning.combinations import Combination
from ltbench.planning.suitability import CannotBePlanned
from ltbench.planning.trajectory import Segments, resumable
from ltbench.stages import (
    PHASE_CHANGES,
    TRAINING_STAGES,
    Augment,
    Auxiliary,
    Finetune,
    Mix,
    Phase,
    Regime,
    always_stated,
)
from ltbench.technique import Technique, fields

_CHANGES = {field.name: field.default for field in fields(Phase) if field.name in PHASE_CHANGES}
"""Fields that a segment only has if they are not the default, because most identities are older."""


def restart_problem(phases: Sequence[Phase]) -> str:
    """Return what is wrong with phases that have to restart and do not; empty if nothing is."""
    for phase in phases:
        if phase.until > 1 and not phase.restart:
            return (
                f"the phase that ends at {phase.until:g} has no learning rates after 1, where the schedule of the "
                "training ends, unless it restarts"
            )
        if phase.classifier == "scale" and not phase.restart:
            return "a phase with classifier='scale' has another optimiser, so it has to restart"
    return ""


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
        self, combination: Combination, regime: Regime, augment: str, *, averaged: bool, frozen: bool
    ) -> tuple[Segments, list[Segments]]:
        """Return the segments of a training, and intermediate states that trainings of a later part may resume from.

        Equal neighbours are merged. The states are at the ends of the first phases of the suite's regimes; one of them
        may be the end of the training itself. Raises `CannotBePlanned` if a phase should restart and does not.
        augment: the default augmentation, as written on a command line; empty for none.
        averaged: whether the recipe has a moving average of the weights, which restarts when a segment restarts.
        frozen: whether the backbone of the model is.
        """
        segments: list[Spec] = []
        own_phases = list(regime.phases())
        if problem := restart_problem(own_phases):
            raise CannotBePlanned(f"{regime.label} cannot be trained: {problem}")
        for phase in own_phases:
            segment = self._segment(combination, phase, augment, frozen=frozen)
            if averaged and phase.restart and segments:
                segment["average"] = "restart"  # only set if true, because most identities are older than this key
            # A switch of a technique that is not picked changes nothing; the plain training has the same segment.
            if segments and not phase.restart and segments[-1] | {"until": 0} == segment | {"until": 0}:
                segments[-1] = segment
            else:
                segments.append(segment)
        first = segments[0]
        beginnings = []
        for phases in (list(regime.phases()) for regime in self._regimes):
            # One that cannot be planned is left out where it is in the combination.
            with suppress(CannotBePlanned):
                beginnings += [self._segment(combination, phases[0], augment, frozen=frozen)] if len(phases) > 1 else []
        foreseen = [
            Segments([segment])
            for segment in beginnings
            if segment["until"] <= first["until"] and resumable(segment) == resumable(first)
        ]
        return Segments(segments), foreseen

    def _segment(self, combination: Combination, phase: Phase, augment: str, *, frozen: bool) -> Spec:
        """Return the segment of a phase. A technique that is switched off is replaced by its baseline."""
        finetune = combination.by_stage.get(Finetune.stage)
        only_classifier = frozen or (isinstance(finetune, Finetune) and finetune.trainable == "classifier")
        segment: Spec = {
            "until": float(phase.until),
            "trainable": "classifier" if only_classifier or phase.classifier == "scale" else phase.trainable,
            "restart": phase.restart,
            "lr_scale": float(phase.lr_scale),
        }
        segment |= {key: value for key, usual in _CHANGES.items() if (value := getattr(phase, key)) != usual}
        # What the network does without being asked.
        if segment.get("batch_norm") == ("learn" if segment["trainable"] == "all" else "frozen"):
            del segment["batch_norm"]
        own = self._parse(augment, "augment") if augment else None
        for stage in TRAINING_STAGES:
            technique = self._technique(combination, phase, stage)
            if technique is None:
                technique = own if stage == "augment" else self._baselines.get(stage)
            still = stage == "augment" and (phase.still or (only_classifier and _leaves_images(technique)))
            if technique is not None and not still:
                segment[stage] = self._spec(technique)
                segment |= self._companions(technique, own)
            elif always_stated(stage):
                segment[stage] = None
        return segment

    def _technique(self, combination: Combination, phase: Phase, stage: str) -> Technique | None:
        """Return the technique of a stage that a phase uses; None for the default of the stage."""
        switch = getattr(phase, stage)
        if isinstance(switch, str):
            technique = self._parse(switch, stage)
            return None if technique.baseline else technique
        return combination.by_stage.get(stage) if switch else None

    def _companions(self, technique: Technique, own: Technique | None) -> Spec:
        """Return the specs of the techniques that this one uses: what it follows, its second stream, its views."""
        if isinstance(technique, Augment) and technique.follows and own is not None:
            return {"augment_first": self._spec(own)}
        if isinstance(technique, Mix) and technique.partner:
            return {"partner": self._spec(self._parse(technique.partner, "sampler"))}
        if isinstance(technique, Auxiliary) and technique.views != ("",):
            return {"views": [self._view(view, own) if view else None for view in technique.views]}
        return {}

    def _view(self, text: str, own: Technique | None) -> Spec:
        augment = self._parse(text, "augment")
        return self._spec(augment) | self._companions(augment, own)


def _leaves_images(technique: Technique | None) -> bool:
    return isinstance(technique, Augment) and technique.leaves_images
