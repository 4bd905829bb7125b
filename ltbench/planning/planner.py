"""Turns combinations into cells and cells into jobs; equal jobs become one."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ltbench.core.process_state import forget_calls
from ltbench.core.spec import PROTOCOL, Job, Spec, identity, predict_spec, splits_of
from ltbench.errors import DataError
from ltbench.executor import Techniques
from ltbench.jobs.evidence import Needed
from ltbench.jobs.evidence import notes as notes_on_evidence
from ltbench.jobs.named_technique import leaving_no_state
from ltbench.planning.cell_templates import AddedCell, Part, Template, Training, Wanted
from ltbench.planning.combinations import Combination, LeftOut, why_unsuited
from ltbench.planning.compute_cost import feature_passes, training_passes
from ltbench.planning.feature_jobs import feature_jobs
from ltbench.planning.members import MemberFit, Members, unsuited_member
from ltbench.planning.plan import Plan
from ltbench.planning.segments import SegmentBuilder
from ltbench.planning.selection import held_out_metric
from ltbench.planning.setting_notes import setting_notes
from ltbench.planning.settings import Setting, settings
from ltbench.planning.shared_fits import Fit, ancestors
from ltbench.planning.suitability import CannotBePlanned, named_by_techniques
from ltbench.planning.training_notes import larger_batches, phases_without_steps, single_member
from ltbench.stages import (
    TECHNIQUE_STAGES,
    Ensemble,
    Model,
    Posthoc,
    Regime,
    Sampler,
    Update,
    View,
)
from ltbench.suite.recipe import Recipe, recipe_spec
from ltbench.suite.recipe_notes import plain_steps
from ltbench.suite.suite import Suite
from ltbench.technique import Technique

T = TypeVar("T", bound=Technique)


class Planner:
    """Collects combinations and returns them as parts of a plan."""

    def __init__(self, suite: Suite, registry: Techniques, data_root: Path, *, trials: int = 0) -> None:
        """trials: for trials of tuning, which only see held-out images, how many seed pairs of the suite they have."""
        forget_calls()
        self._trials = trials
        self._registry, self._suite = registry, suite
        self.part = Part()
        self.parts = 0
        self._done: set[bytes] = set()
        """Keys of the jobs of earlier parts, as bytes: a large grid has millions."""
        self._recipes = [recipe.resolved() for recipe in suite.recipes()]
        self.settings = list(settings(suite, registry, data_root))
        self.part.notes.update(dict.fromkeys(setting_notes(self._recipes, self.settings, registry, data_root)))
        if suite.selection == "best":
            self.part.notes["epochs are chosen on the held-out images, so numbers on these are too good"] = None
        self._earlier_notes: set[str] = set()
        """Notes of earlier parts."""
        self._seed_pairs = suite.seed_pairs()[: trials or None]
        self._baselines = {stage: registry.baseline(stage) for stage in TECHNIQUE_STAGES}
        self._spec = functools.cache(registry.spec)
        texts = [*suite.techniques, *(text for row in suite.combinations for text in row)]
        techniques = [t for text in texts for t in registry.parse_all(text)]
        for setting in self.settings:
            for technique in techniques:
                technique.check_classes(setting.info.classes)
        # A run prints no combinations that are left out, and would seem to have forgotten these.
        reasons = filter(None, map(why_unsuited(suite, registry), techniques))
        self.part.notes.update(dict.fromkeys(f"left out: {reason}" for reason in reasons))
        regimes = [t for t in techniques if isinstance(t, Regime)]
        for regime in regimes:
            with self._first_call(regime):
                regime.phases()  # trajectories call them all, and could blame the wrong one
        named = named_by_techniques(functools.cache(registry.parse))
        builder = SegmentBuilder(regimes, self._baselines, named, self._spec)
        self._members = Members(builder, self._regime, self._first_call, named, self._spec)

    def add(self, combination: Combination, wanted: Wanted = Wanted()) -> list[AddedCell]:  # noqa: B008 - immutable
        """Add the cells of a combination, one for each recipe, seed pair and setting, and return them."""
        try:
            trainings = self._trainings(combination, wanted)
        except CannotBePlanned as reason:
            self.part.left_out.append(LeftOut(combination, str(reason)))
            return []
        self.part.combinations += 1
        reasons: dict[str, None] = {}
        added: list[AddedCell] = []
        for template, made in trainings:
            found = list(map(self._reason_against, made))
            reasons |= dict.fromkeys(filter(None, found))
            for seeds in self._seed_pairs if wanted.seeds is None else wanted.seeds:
                for training, why in zip(made, found, strict=True):
                    if not why:
                        key = self._add_cell(template, training, *seeds)
                        added.append(AddedCell(key, training.setting, seeds, training.cost_unshared))
        self.part.left_out += [LeftOut(combination, why) for why in reasons]
        return added

    def _repeats(self, segment: Mapping[str, Any]) -> int:
        """Return how often a step of a segment passes the batch through the network."""
        update = segment.get(Update.stage)
        return 1 if update is None else self._registry.build_as(update, Update).passes

    def _reason_against(self, training: Training) -> str:
        """Return why a technique cannot be used with a model of this training; empty if all can."""
        return unsuited_member(training.members, lambda spec: self._registry.build_as(spec, Model))

    def why_not(self, combination: Combination, model: str) -> str:
        """Return why a combination cannot be planned with a model; empty if it can.

        Its conflicts and needs are not considered. model: a key of `cells_by_model`.
        """
        self._members.forget()
        setting = next(one for one in self.settings if one.labels["model"] == model)
        template = self._template(combination, self._recipes[0])
        try:
            training = self._training(combination, template, setting)
        except CannotBePlanned as reason:
            return str(reason)
        return self._reason_against(training)

    @property
    def cells_by_model(self) -> dict[str, int]:
        """Cells of a combination with each model, by its label."""
        each = len(self._recipes) * len(self._seed_pairs)
        return {label: each * n for label, n in Counter(one.labels["model"] for one in self.settings).items()}

    def passes_unshared(self, combination: Combination) -> float:
        """Return the cost of the cells of a combination without sharing, in forward passes of an image; 0 if it has none."""
        try:
            trainings = [training for _, found in self._trainings(combination) for training in found]
        except CannotBePlanned:
            return 0.0
        return len(self._seed_pairs) * sum(training.cost_unshared for training in trainings)

    def _trainings(
        self,
        combination: Combination,
        wanted: Wanted = Wanted(),  # noqa: B008 - immutable
    ) -> list[tuple[Template, list[Training]]]:
        """Return, for each recipe, the trainings of a combination in all settings. Raises `CannotBePlanned`."""
        self._members.forget()
        recipes = self._recipes if wanted.recipe is None else [wanted.recipe.resolved()]
        templates = [self._template(combination, recipe, wanted.until) for recipe in recipes]
        chosen = self.settings if wanted.settings is None else wanted.settings
        return [(each, [self._training(combination, each, one, wanted.until) for one in chosen]) for each in templates]

    def _template(self, combination: Combination, recipe: Recipe, until: float | None = None) -> Template:
        picked = combination.by_stage
        posthoc = self._pick(combination, "posthoc", Posthoc) if "posthoc" in picked else None
        view = self._pick(combination, "view", View)
        ensemble = self._pick(combination, "ensemble", Ensemble)
        with self._first_call(view):
            views = list(view.views())
        return Template(
            ensemble=ensemble,
            recipe=recipe,
            regime=self._regime(combination),
            sampler=self._pick(combination, "sampler", Sampler),
            views=views,
            posthoc=posthoc,
            spec={
                "kind": "cell",
                "protocol": PROTOCOL,
                "view": self._spec(view),
                "posthoc": None if posthoc is None else self._spec(posthoc),
                "ensemble": self._spec(ensemble),
                **({"splits": ["held_out"]} if self._trials else {}),
                **({} if until is None else {"until": until}),
            },
            extra={
                "combination": combination.stated,
                "recipe": recipe_spec(recipe),
                "notes": [*combination.notes, *notes_on_evidence(posthoc)],
                "techniques": [self._spec(t) | {"stage": t.stage} for t in combination.techniques],
            },
        )

    def _regime(self, combination: Combination) -> Regime:
        return self._pick(combination, "regime", Regime)

    def _first_call(self, technique: Technique) -> AbstractContextManager[None]:
        """Watch the first call of a technique, because this process may run jobs, and it starts the workers."""
        return leaving_no_state(self._registry, technique, "plan")

    def _training(
        self, combination: Combination, template: Template, setting: Setting, until: float | None = None
    ) -> Training:
        with self._first_call(template.ensemble):
            picked = list(template.ensemble.members(setting.counts))
        members = self._members.fits(combination, template.ensemble, picked, setting, template.recipe)
        if until is not None:
            members = self._members.cut_short(combination, members, until)
        looked_at = sum(setting.held_out) if self._suite.selection == "best" else 0
        cost = sum(member.passes(sum(setting.counts), self._repeats, looked_at) for member in members)
        splits = splits_of(template.spec, setting.data)
        predicted = sum(map(setting.images_in, Needed.of(template.posthoc, splits).splits))
        cost += len(members) * len(template.views) * predicted
        segments, _ = self._members.trajectory(combination, setting, template.recipe)
        recipe, steps = template.extra["recipe"], plain_steps(template.recipe, sum(setting.counts))
        notes = larger_batches(template.sampler, recipe, len(setting.counts))
        notes += single_member(template.ensemble, len(members))
        notes += phases_without_steps(template.regime, segments, steps)
        self.part.notes.update(dict.fromkeys(notes))
        notes = [*template.extra["notes"], *notes]
        return Training(setting, members, cost, notes)

    def _fit(self, member: MemberFit, data: Spec, seed: int) -> Fit:
        rest = member.spec | {"data": data, "seed": member.spec["seed"] + seed}
        if member.teacher is not None:
            rest["teacher"] = self._fit(member.teacher, data, seed).spec
        return self.part.fits.family(rest).fit(member.segments, member.foreseen)

    def _chosen_fit(self, member: MemberFit, data: Spec, setting: Setting, seed: int) -> Fit:
        """Return the fit that predicts: the end of the training, or the state after its best epoch on held-out images."""
        fit = self._fit(member, data, seed)
        if self._suite.selection == "last":
            return fit
        metric = held_out_metric(self._suite.metric, setting.info.test_counts, self._registry)
        return self.part.fits.select(fit, metric.spec)

    def _add_cell(self, template: Template, training: Training, subset_seed: int, seed: int) -> str:
        part, setting = self.part, training.setting
        data = setting.data | {"subset_seed": subset_seed}
        fits = [self._chosen_fit(member, data, setting, seed) for member in training.members]
        needed = Needed.of(template.posthoc, splits_of(template.spec, data))
        parents = tuple([
            self._predict(fit, template, name, split, features=needed.features)
            for split in needed.splits for fit in fits for name in template.views
        ])  # fmt: skip
        spec = template.spec | {"members": [fit.key for fit in fits]}
        key = identity(spec)
        if key in part.cells or (self.parts and bytes.fromhex(key) in self._done):
            return key  # duplicate of another combination's cell, such as a switch of an absent technique
        part.trainings_naive += len(fits)
        part.passes_naive += training.cost_unshared
        extra = template.extra | {
            "setting": setting.labels | {"subset_seed": subset_seed, "seed": seed},
            "fits": [fit.spec for fit in fits],
            "views": template.views,
            "notes": training.notes,
            "techniques": [*setting.techniques, *template.extra["techniques"]],
        }
        part.cells[key] = Job(key=key, kind="cell", spec=spec, parents=parents, extra=extra), setting
        return key

    def _predict(self, fit: Fit, template: Template, name: str, split: str, *, features: bool) -> str:
        spec = predict_spec(fit.key, template.spec["view"], name, split, features=features)
        key = identity(spec)
        if key not in self.part.predicts:
            read = feature_jobs(fit.spec, spec)
            self.part.features |= {job.key: job for job in read}
            parents = (fit.key, *(job.key for job in read))
            self.part.predicts[key] = Job(key=key, kind="predict", spec=spec, parents=parents)
        return key

    def _pick(self, combination: Combination, stage: str, kind: type[T]) -> T:
        technique = combination.by_stage.get(stage) or self._baselines[stage]
        if not isinstance(technique, kind):
            raise DataError(f"stage {stage} has no baseline", why="the built-in plugins are switched off")
        return technique

    def take(self, *, more: bool) -> Plan:
        """Return the collected part as a plan, and start the next one. more: whether another part may follow."""
        part, self.part = self.part, Part()
        # A state in the middle of a training costs a job, which a single part never needs.
        foreseen = part.fits.add_foreseen() if more or self.parts else set()
        chains = part.fits.chain()
        jobs: dict[str, Job] = {}
        images: dict[str, int] = {}
        costs: dict[str, float] = {}
        # A job comes just before the first cell that needs it, so that an interrupted run has complete cells.
        for cell, setting in part.cells.values():
            for predict in [part.predicts[key] for key in cell.parents]:
                read = [part.features[key] for key in predict.parents[1:]]
                for job in (*ancestors(predict.parents[0], chains), *read, predict):
                    if job.key in jobs:
                        continue
                    # The state of a finished training is only kept if something continues from it.
                    keep = job.key in foreseen and "features" not in job.spec
                    jobs[job.key] = msgspec.structs.replace(job, keep_state=True) if keep else job
                    if job.kind == "fit":
                        resumed = job.parents and "features" not in job.spec
                        start = jobs[job.parents[0]].spec["segments"][-1]["until"] if resumed else 0.0
                        images[job.key] = sum(setting.counts)
                        costs[job.key] = training_passes(job.spec, images[job.key], start, self._repeats)
                    elif job.kind == "predict":
                        costs[job.key] = 0.0 if read else float(setting.images_in(job.spec["split"]))
                    elif job.kind == "features":
                        costs[job.key] = feature_passes(job.spec, setting.info)
            jobs[cell.key] = cell
        plan = Plan(
            jobs=jobs,
            left_out=part.left_out,
            combinations=part.combinations,
            images=images,
            trainings_naive=part.trainings_naive,
            passes_naive=part.passes_naive,
            passes=costs,
            repeated=frozenset(key for key in jobs if bytes.fromhex(key) in self._done),
            foreseen=frozenset(jobs.keys() & foreseen),
            notes=tuple(note for note in part.notes if note not in self._earlier_notes),
        )
        self._done.update(map(bytes.fromhex, jobs))
        self._earlier_notes.update(plan.notes)
        self.parts += 1
        return plan
