"""From a suite to cells, and from cells to a graph of jobs in which no work is done twice.

Works without torch and reads no image.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from ltbench.cells import PROTOCOL, Job, Spec, identity
from ltbench.errors import DataError
from ltbench.grid import TECHNIQUE_STAGES, Combination, LeftOut, combinations
from ltbench.longtail import check_counts
from ltbench.recipe import Recipe
from ltbench.registry import Registry
from ltbench.stages import Dataset, DatasetInfo, Ensemble, Member, Model, Profile, Regime, Technique, View
from ltbench.suite import Suite
from ltbench.trajectories import ancestors, chain_fits

T = TypeVar("T", bound=Technique)
TRAINING_STAGES = ("sampler", "augment", "mix", "loss", "weight")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a suite asks for, before anything runs."""

    jobs: dict[str, Job]
    """Every job by key, in the order in which they are best run: parents first, simple combinations first."""
    left_out: list[LeftOut]
    images: dict[str, int]
    """Images of the training subset of each fit, by its key."""
    trainings_naive: int
    """Trainings that a script would do that trains every cell, and every member of an ensemble, by itself."""

    def of_kind(self, kind: str) -> list[Job]:
        """Return the jobs of one kind, in order."""
        return [job for job in self.jobs.values() if job.kind == kind]

    @property
    def cells(self) -> list[Job]:
        """The jobs that make a record, one per cell."""
        return self.of_kind("cell")


class Ground(msgspec.Struct, frozen=True, kw_only=True):
    """Where cells are compared with each other: data at one imbalance factor, and one model."""

    dataset: Dataset
    info: DatasetInfo
    profile: Profile
    imbalance_factor: float
    counts: tuple[int, ...]
    model: Model


def make_plan(suite: Suite, registry: Registry, data_root: Path) -> Plan:
    """Return the plan of a suite. Raises what is wrong with the suite or its data sets' descriptions."""
    planner = _Planner(suite, registry, data_root)
    for combination in combinations(planner.techniques, suite.strategy, suite.max_techniques):
        if isinstance(combination, LeftOut):
            planner.left_out.append(combination)
            continue
        for ground, pair in planner.places():
            planner.add_cell(ground, combination, *pair)
    jobs = planner.ordered()
    return Plan(
        jobs=jobs,
        left_out=planner.left_out,
        images=planner.images,
        trainings_naive=planner.naive,
    )


class _Planner:
    def __init__(self, suite: Suite, registry: Registry, data_root: Path) -> None:
        self.suite = suite
        self.registry = registry
        self.recipe = suite.recipe.resolved()
        self.recipe_spec = recipe_spec(self.recipe)
        self.techniques = [t for text in suite.techniques for t in registry.parse_all(text)]
        self.grounds = list(_grounds(suite, registry, data_root))
        self.left_out: list[LeftOut] = []
        self.naive = 0
        self.images: dict[str, int] = {}
        self._fits: dict[str, Spec] = {}
        self._fit_keys: dict[tuple[object, ...], str] = {}
        self._predicts: dict[str, Job] = {}
        self._predict_keys: dict[tuple[str, str], str] = {}
        self._cells: dict[str, Job] = {}
        self._specs: dict[Technique, Spec] = {}
        self._data: dict[tuple[int, int], Spec] = {}
        self._segments: dict[tuple[object, ...], list[Spec]] = {}
        self._baselines = {stage: registry.baseline(stage) for stage in TECHNIQUE_STAGES}
        self._models: dict[str, Model] = {}

    def places(self) -> Iterator[tuple[Ground, tuple[int, int]]]:
        for pair in self.suite.seed_pairs():
            for ground in self.grounds:
                yield ground, pair

    def add_cell(self, ground: Ground, combination: Combination, subset_seed: int, seed: int) -> None:
        view = self.pick(combination, "view", View)
        ensemble = self.pick(combination, "ensemble", Ensemble)
        posthoc = combination.by_stage.get("posthoc")
        members = ensemble.members(ground.counts)
        fits = [self.fit(ground, combination, subset_seed, seed, member, ensemble) for member in members]
        views = list(view.views())
        parents = tuple(self.predict(fit, view, name) for fit in fits for name in views)
        spec: Spec = {
            "kind": "cell",
            "protocol": PROTOCOL,
            "members": fits,
            "view": self.spec(view),
            "posthoc": None if posthoc is None else self.spec(posthoc),
            "ensemble": self.spec(ensemble),
        }
        self.naive += len(fits)
        key = identity(spec)
        if key in self._cells:
            return
        picked = combination.by_stage
        extra: Spec = {
            "setting": {
                "dataset": ground.dataset.label,
                "profile": ground.profile.label,
                "imbalance_factor": float(ground.imbalance_factor),
                "model": ground.model.label,
                "subset_seed": subset_seed,
                "seed": seed,
            },
            "combination": {
                stage: picked[stage].label if stage in picked else None for stage in TECHNIQUE_STAGES
            },
            "recipe": self.recipe_spec,
            "fits": [self._fits[fit] for fit in fits],
            "views": views,
            "notes": combination.notes,
            "techniques": [
                self.spec(t) | {"stage": t.stage}
                for t in (ground.dataset, ground.profile, ground.model, *combination.techniques)
            ],
        }  # fmt: skip
        self._cells[key] = Job(key=key, kind="cell", spec=spec, parents=parents, extra=extra)

    def fit(
        self, ground: Ground, combination: Combination, subset_seed: int, seed: int, member: Member, ensemble: Ensemble
    ) -> str:
        picked = combination.by_stage
        trained = tuple(picked.get(stage) for stage in (*TRAINING_STAGES, "regime"))
        bag = None if member.bag is None else {"ensemble": self.spec(ensemble), "number": member.bag}
        short = (id(ground), trained, subset_seed, seed, member, None if bag is None else ensemble)
        if short in self._fit_keys:
            return self._fit_keys[short]
        model = self.model(member.model) if member.model else ground.model
        spec: Spec = {
            "kind": "fit",
            "protocol": PROTOCOL,
            "data": self.data(ground, subset_seed),
            "bag": bag,
            "model": self.spec(model),
            "recipe": self.recipe_spec,
            "seed": seed + member.seed_offset,
            "segments": self.segments(ground, combination, trained),
        }
        key = self._fit_keys[short] = identity(spec)
        self._fits[key] = spec
        self.images[key] = sum(ground.counts)
        return key

    def predict(self, fit: str, view: View, name: str) -> str:
        owner = "" if name == "identity" else view.label
        short = (fit, f"{owner}/{name}")
        if short not in self._predict_keys:
            spec: Spec = {
                "kind": "predict",
                "protocol": PROTOCOL,
                "fit": fit,
                "split": "test",
                "view": name if not owner else {"technique": self.spec(view), "name": name},
            }
            key = self._predict_keys[short] = identity(spec)
            self._predicts[key] = Job(key=key, kind="predict", spec=spec, parents=(fit,))
        return self._predict_keys[short]

    def segments(self, ground: Ground, combination: Combination, trained: tuple[object, ...]) -> list[Spec]:
        """Return the phases of the regime with their switches resolved; equal neighbours are one segment."""
        short = (ground.dataset, trained)
        if short in self._segments:
            return self._segments[short]
        own = dict(self._baselines)
        own["augment"] = (
            self.registry.parse(ground.dataset.augment, "augment") if ground.dataset.augment else own.get("augment")
        )
        segments: list[Spec] = []
        for phase in self.pick(combination, "regime", Regime).phases():
            segment: Spec = {
                "until": float(phase.until),
                "trainable": phase.trainable,
                "restart": phase.restart,
                "lr_scale": float(phase.lr_scale),
            }
            for stage in TRAINING_STAGES:
                chosen = combination.by_stage.get(stage) if getattr(phase, stage) else None
                technique = chosen or own.get(stage)
                segment[stage] = None if technique is None else self.spec(technique)
            if segments and not phase.restart and segments[-1] | {"until": 0} == segment | {"until": 0}:
                segments[-1] = segment
            else:
                segments.append(segment)
        self._segments[short] = segments
        return segments

    def data(self, ground: Ground, subset_seed: int) -> Spec:
        short = (id(ground), subset_seed)
        if short not in self._data:
            self._data[short] = {
                "dataset": self.spec(ground.dataset),
                "fingerprint": ground.info.fingerprint,
                "profile": self.spec(ground.profile),
                "imbalance_factor": float(ground.imbalance_factor),
                "subset_seed": subset_seed,
            }
        return self._data[short]

    def spec(self, technique: Technique) -> Spec:
        if technique not in self._specs:
            self._specs[technique] = self.registry.spec(technique)
        return self._specs[technique]

    def model(self, text: str) -> Model:
        if text not in self._models:
            model = self.registry.parse(text, "model")
            assert isinstance(model, Model)
            self._models[text] = model
        return self._models[text]

    def pick(self, combination: Combination, stage: str, kind: type[T]) -> T:
        technique = combination.by_stage.get(stage) or self._baselines[stage]
        if not isinstance(technique, kind):
            raise DataError(f"stage {stage} has no baseline", why="the built-in plugins are switched off")
        return technique

    def ordered(self) -> dict[str, Job]:
        """Return all jobs, each cell's own just before it and every parent before its children."""
        jobs: dict[str, Job] = {}
        chains = chain_fits(self._fits)
        for cell in self._cells.values():
            for predict in (self._predicts[key] for key in cell.parents):
                for fit in ancestors(predict.spec["fit"], chains):
                    jobs.setdefault(fit.key, fit)
                jobs.setdefault(predict.key, predict)
            jobs[cell.key] = cell
        return jobs


def recipe_spec(recipe: Recipe) -> Spec:
    """Return the part of a recipe that enters identity: what differs from the defaults, precision always."""
    defaults = Recipe(steps=1)
    spec: Spec = {
        field: msgspec.to_builtins(value)
        for field in recipe.__struct_fields__
        if (value := getattr(recipe, field)) != getattr(defaults, field) or field == "steps"
    }
    return {k: v for k, v in (spec | {"precision": recipe.precision}).items() if v is not None}


def _grounds(suite: Suite, registry: Registry, data_root: Path) -> Iterator[Ground]:
    for dataset in _each(registry, suite.datasets, "dataset", Dataset):
        info = dataset.info(data_root)
        for profile in _each(registry, suite.profiles, "profile", Profile):
            for factor in suite.imbalance_factors:
                counts = tuple(profile.counts(info.train_counts, factor))
                check_counts(counts, info.train_counts, f"{dataset.label}, profile {profile.label}, factor {factor:g}")
                for model in _each(registry, suite.models, "model", Model):
                    yield Ground(
                        dataset=dataset,
                        info=info,
                        profile=profile,
                        imbalance_factor=factor,
                        counts=counts,
                        model=model,
                    )


def _each(registry: Registry, texts: Sequence[str], stage: str, kind: type[T]) -> Iterator[T]:
    for text in texts:
        for one in registry.parse_all(text):
            technique = registry.parse(one.label, stage)
            assert isinstance(technique, kind)
            yield technique
