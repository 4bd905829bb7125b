"""The members of an ensemble: what each of them trains with, and where its training ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

from ltbench.core.spec import PROTOCOL, Spec
from ltbench.planning.combinations import Combination, ordered, reason_left_out
from ltbench.planning.compute_cost import Repeats, training_passes
from ltbench.planning.feature_jobs import trains_on_features
from ltbench.planning.segments import SegmentBuilder
from ltbench.planning.settings import Setting
from ltbench.planning.suitability import CannotBePlanned, choosy_techniques, reason_against
from ltbench.planning.trajectory import Segments, cut, epoch_ends
from ltbench.stages import (
    MEMBER_STAGES,
    NETWORK_STAGES,
    TRAINING_STAGES,
    Augment,
    Auxiliary,
    Branches,
    Ensemble,
    Finetune,
    Loss,
    Member,
    Model,
    Phase,
    Regime,
)
from ltbench.suite.recipe import Recipe, recipe_spec
from ltbench.technique import Technique, split_outside

DECIDING = (Branches.stage, Regime.stage, Ensemble.stage, Auxiliary.stage)
"""Stages whose techniques decide what the trainings of a combination use, by branches, phases, members and teachers."""


class MemberFit(NamedTuple):
    """The training of a member, or of its teacher."""

    spec: Spec
    """Of its fit at training seed 0, without subset seed, segments and teacher."""
    segments: Segments
    foreseen: list[Segments]
    """States that trainings of a later part may resume from."""
    choosy: Sequence[Technique] = ()
    """Its techniques that may not run with every model or on every machine."""
    teacher: MemberFit | None = None

    def passes(self, images: int, repeats: Repeats, looked_at: int = 0) -> float:
        """Return the cost of the complete training, with its teacher's, or with the features on which it trains.

        images: of the training subset; looked_at: images that are predicted after each epoch, to select one.
        """
        spec = self.spec | {"segments": self.segments.specs}
        if "features" in spec:
            return float(images)  # with the features, predictions cost nothing
        selection = float(looked_at and looked_at * sum(1 for _ in epoch_ends(spec, self.segments)))
        if self.teacher is None:
            return selection + training_passes(spec, images, repeats=repeats)
        taught = spec | {"teacher": self.teacher.spec}
        return selection + training_passes(taught, images, repeats=repeats) + self.teacher.passes(images, repeats)


class Members:
    """Builds the trainings of the members of combinations."""

    def __init__(
        self,
        builder: SegmentBuilder,
        regime: Callable[[Combination], Regime],
        watch: Callable[[Technique], AbstractContextManager[None]],
        parse: Callable[..., Technique],
        spec: Callable[[Technique], Spec],
    ) -> None:
        """regime: of a combination; watch: the context of the first call of a technique; parse, spec: as in `Registry`."""
        self._builder, self._regime, self._watch, self._parse, self._spec = builder, regime, watch, parse, spec
        self._known: dict[tuple[Combination, str, bool, bool], tuple[Segments, list[Segments]]] = {}

    def forget(self) -> None:
        """Forget the trajectories of earlier combinations."""
        self._known.clear()

    def trajectory(
        self, combination: Combination, setting: Setting, recipe: Recipe, model: str = ""
    ) -> tuple[Segments, list[Segments]]:
        """Return `SegmentBuilder.trajectory`, built once for the settings and members that have the same.

        model: of a member that has another one than the setting.
        """
        averaged, frozen = recipe.ema is not None, self._model(setting, model).is_frozen
        augment = recipe.augment or ("" if frozen else setting.augment)
        key = combination, augment, averaged, frozen
        if key not in self._known:
            regime = self._regime(combination)
            with self._watch(regime):
                self._known[key] = self._builder.trajectory(
                    combination, regime, augment, averaged=averaged, frozen=frozen
                )
        return self._known[key]

    def _model(self, setting: Setting, model: str = "") -> Model:
        technique = self._parse(model or setting.labels["model"], "model")
        assert isinstance(technique, Model)
        return technique

    def fits(
        self, combination: Combination, ensemble: Ensemble, members: Sequence[Member], setting: Setting, recipe: Recipe
    ) -> list[MemberFit]:
        """Return the trainings of the members of an ensemble.

        Raises `CannotBePlanned` if one does not exist, a technique of the cell has no effect, or a member or a teacher has a
        technique that no training has.
        """
        combinations = [_member_combination(combination, ensemble, member, self._parse) for member in members]
        _check_use(combination, ensemble, combinations)
        fits = [
            self._fit(own, ensemble, member, setting, recipe) for own, member in zip(combinations, members, strict=True)
        ]
        _check_phases(combination, fits, self._spec)
        return fits

    def cut_short(self, combination: Combination, members: Sequence[MemberFit], until: float) -> list[MemberFit]:
        """Return trainings that end earlier, at a fraction of their length.

        Raises `CannotBePlanned` if one has no state there, or a technique of the cell has no effect so early.
        """
        parts = [cut(member.segments, until) for member in members]
        short = [
            member._replace(segments=part) for member, part in zip(members, parts, strict=True) if part is not None
        ]
        if len(short) < len(members):
            raise CannotBePlanned(f"a training has no state at {until:g} of its length")
        _check_phases(combination, short, self._spec)
        return short

    def _fit(
        self, combination: Combination, ensemble: Ensemble, member: Member, setting: Setting, recipe: Recipe
    ) -> MemberFit:
        segments, foreseen = self.trajectory(combination, setting, recipe, member.model)
        model = self._model(setting, member.model)
        _check_finetune(combination, model)
        self._check_branches(combination)
        _check_replacements(combination, self._regime(combination), self._parse)
        spec: Spec = {
            "kind": "fit",
            "protocol": PROTOCOL,
            "data": setting.data,
            "bag": None if member.bag is None else {"ensemble": self._spec(ensemble), "number": member.bag},
            "model": self._spec(model),
            "recipe": recipe_spec(recipe),
            "seed": member.seed_offset,
        }
        teacher = None
        taught = _teacher_combination(combination, self._regime(combination).phases(), self._parse)
        if taught is not None:
            parts = self.trajectory(taught, setting, recipe, member.model)
            self._check_branches(taught)
            _check_replacements(taught, self._regime(taught), self._parse)
            teacher = MemberFit(spec | self._network(taught), *parts, self._choosy(taught.techniques, taught))
        segments = _member_segments(segments, ensemble, member)
        choosy = self._choosy((*combination.techniques, ensemble), combination)
        spec |= self._network(combination)
        if teacher is None and trains_on_features(
            spec, segments.specs, model, combination.by_stage.get(Finetune.stage)
        ):
            spec["features"] = True
        return MemberFit(spec, segments, foreseen, choosy, teacher)

    def _choosy(self, techniques: Sequence[Technique], combination: Combination) -> list[Technique]:
        return choosy_techniques(techniques, self._regime(combination), self._parse)

    def _check_branches(self, combination: Combination) -> None:
        """Raise `CannotBePlanned` if the loss is for another number of branches."""
        loss, branches = combination.by_stage.get(Loss.stage), combination.by_stage.get(Branches.stage)
        if isinstance(loss, Loss) and isinstance(branches, Branches) and loss.for_branches:
            with self._watch(branches):
                number = branches.number()
            if number != loss.for_branches:
                raise CannotBePlanned(
                    f"{loss.label} is for {loss.for_branches} branches, but {branches.label} has {number}"
                )

    def _network(self, combination: Combination) -> Spec:
        """Return what the spec of a fit states on the network besides the model."""
        picked = combination.by_stage
        parts: Spec = {stage: self._spec(picked[stage]) for stage in NETWORK_STAGES if stage in picked}
        branches = picked.get(Branches.stage)
        if isinstance(branches, Branches) and branches.stream:
            parts["stream"] = self._spec(self._parse(branches.stream, "sampler"))
        return parts


def unsuited_member(members: Sequence[MemberFit], build_model: Callable[[Spec], Technique]) -> str:
    """Return why a technique of a member, or of its teacher, cannot be used with its model; empty if all can."""
    for member in members:
        for about, fit in (("", member), ("its teacher cannot be trained: ", member.teacher)):
            if fit is not None and fit.choosy:
                reason = reason_against(fit.choosy, [build_model(fit.spec["model"])])
                if reason:
                    return about + reason
    return ""


def _member_combination(
    combination: Combination, ensemble: Ensemble, member: Member, parse: Callable[[str], Technique]
) -> Combination:
    """Return the combination that a member trains with: that of the cell, with its own techniques.

    Raises `CannotBePlanned` for a technique of a stage that no member has, or if they do not go together.
    """
    if not member.techniques:
        return combination
    picked = {stage: technique for stage, technique in combination.by_stage.items() if stage != ensemble.stage}
    for technique in map(parse, member.techniques):
        if technique.stage not in MEMBER_STAGES:
            raise CannotBePlanned(
                f"{ensemble.label} has a member with {technique.stage} {technique.label}, but techniques of a member are of the "
                f"stages {', '.join(MEMBER_STAGES)}"
            )
        picked.pop(technique.stage, None)
        if not technique.baseline:
            picked[technique.stage] = technique
    changed = ordered(picked.values())
    if reason := reason_left_out(changed):
        raise CannotBePlanned(f"a member of {ensemble.label} has {changed.label}: {reason}")
    return changed


def _teacher_combination(
    combination: Combination, phases: Sequence[Phase], parse: Callable[..., Technique]
) -> Combination | None:
    """Return the techniques of the teacher that a technique names; None without one.

    phases: those of the regime, which may name an auxiliary. Raises `CannotBePlanned` for a technique that no training
    has, or if the techniques name different teachers, or do not go together.
    """
    auxiliaries = [parse(phase.auxiliary, "auxiliary") for phase in phases if isinstance(phase.auxiliary, str)]
    named = {
        technique.teacher: technique.name
        for technique in (*combination.techniques, *auxiliaries)
        if isinstance(technique, Auxiliary | Regime) and technique.teacher
    }
    if not named:
        return None
    if len(named) > 1:
        raise CannotBePlanned(" and ".join(f"{name} has teacher {text}" for text, name in sorted(named.items())))
    ((text, name),) = named.items()
    techniques = [parse(part.strip()) for part in split_outside(text, ",")]
    if wrong := [technique.label for technique in techniques if technique.stage not in MEMBER_STAGES]:
        raise CannotBePlanned(
            f"{name} has a teacher with {', '.join(wrong)}, but techniques of a teacher are of the stages "
            f"{', '.join(MEMBER_STAGES)}"
        )
    if taught := [one.label for one in techniques if isinstance(one, Auxiliary | Regime) and one.teacher]:
        raise CannotBePlanned(f"{name} has a teacher with {', '.join(taught)}, which has a teacher itself")
    teacher = ordered(technique for technique in techniques if not technique.baseline)
    if reason := reason_left_out(teacher):
        raise CannotBePlanned(f"{name} has a teacher with {teacher.label}: {reason}")
    return teacher


def _check_finetune(combination: Combination, model: Model) -> None:
    """Raise `CannotBePlanned` if a fine-tuning would train the backbone of a model that is frozen."""
    finetune = combination.by_stage.get(Finetune.stage)
    if isinstance(finetune, Finetune) and finetune.trainable == "all" and model.is_frozen:
        raise CannotBePlanned(f"{finetune.label} trains the backbone, but that of {model.label} is frozen")


def _member_segments(segments: Segments, ensemble: Ensemble, member: Member) -> Segments:
    """Return the segments of a member. Raises `CannotBePlanned` if its training has no state to end at."""
    if member.until is None:
        return segments
    part = cut(segments, member.until)
    if part is None:
        ends = [f"{segment['until']:.4g}" for segment in segments.specs]
        past = member.until > segments.specs[-1]["until"]
        why = f"ends at {ends[-1]}" if past else f"has phases that restart, and they end at {', '.join(ends)}"
        raise CannotBePlanned(f"{ensemble.label} has a member that ends at {member.until:.4g}, but its training {why}")
    return part


def _check_use(combination: Combination, ensemble: Ensemble, members: Sequence[Combination]) -> None:
    """Raise `CannotBePlanned` if all members replace a technique of the cell, which is then without effect."""
    for stage, technique in combination.by_stage.items():
        if stage in MEMBER_STAGES and not any(member.by_stage.get(stage) == technique for member in members):
            raise CannotBePlanned(
                f"{technique.name} has no effect: every member of {ensemble.label} has another {stage} instead"
            )


def _check_replacements(combination: Combination, regime: Regime, parse: Callable[..., Technique]) -> None:
    """Raise `CannotBePlanned` if a technique that a phase names does not go together with those of the combination."""
    for phase in regime.phases():
        switches = {stage: getattr(phase, stage) for stage in TRAINING_STAGES}
        named = [parse(text, stage) for stage, text in switches.items() if isinstance(text, str)]
        named = [technique for technique in named if not technique.baseline]
        if named:
            # What the regime conflicts with is what others bring, not what it names itself.
            kept = [one for one in combination.techniques if one != regime and switches.get(one.stage, True) is True]
            if reason := reason_left_out(ordered([*kept, *named]), named):
                raise CannotBePlanned(f"{regime.label} has a phase in which {reason}")


def _check_phases(combination: Combination, members: Sequence[MemberFit], spec: Callable[[Technique], Spec]) -> None:
    """Raise `CannotBePlanned` if no phase of the trainings uses a technique of the cell."""
    for stage, technique in combination.by_stage.items():
        used = spec(technique)
        uses = (used, None) if isinstance(technique, Augment) and technique.leaves_images else (used,)
        if stage in TRAINING_STAGES and not any(
            segment.get(stage) in uses for member in members for segment in member.segments.specs
        ):
            raise CannotBePlanned(f"{technique.name} has no effect: no phase of the training uses it")
