"""Planning: combinations become cells, cells become jobs, and what is the same becomes one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from ltbench.core.spec import PROTOCOL, Job, Spec, identity, predict_spec
from ltbench.errors import DataError
from ltbench.executor import Techniques
from ltbench.planning.combinations import TECHNIQUE_STAGES, Combination, LeftOut
from ltbench.planning.compute_cost import passes, predicting
from ltbench.planning.plan import Plan
from ltbench.planning.segments import TRAINING_STAGES, Phases
from ltbench.planning.settings import Setting, settings
from ltbench.planning.shared_fits import Keys, ancestors, chain_lines
from ltbench.stages import Dataset, Ensemble, Member, Model, Regime, View
from ltbench.suite.recipe import recipe_spec
from ltbench.suite.suite import Suite
from ltbench.technique import Technique

T = TypeVar("T", bound=Technique)


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    """What all cells of a combination have in common."""

    combination: Combination
    recipe: Spec
    regime: Regime
    view: View
    views: list[str]
    owner: str
    """Label of the view."""
    ensemble: Ensemble
    bagger: str
    """Label of the ensemble."""
    trained: int
    """Number of what the combination trains with, recipe included; two that differ in views or posthoc have the same."""
    spec: Spec
    extra: Spec
    techniques: list[Spec]


class Planner:
    """Takes combinations one by one and gives them back as plans."""

    def __init__(self, suite: Suite, registry: Techniques, data_root: Path) -> None:
        self.suite = suite
        self.registry = registry
        self.recipes = [recipe_spec(recipe.resolved()) for recipe in suite.recipes()]
        self.grounds = list(settings(suite, registry, data_root))
        self.parts = 0
        self._done: set[bytes] = set()
        """Keys of the jobs of earlier parts."""
        self._begin_part()
        self._specs: dict[Technique, Spec] = {}
        self._bags: dict[tuple[str, int | None], Spec] = {}
        self._data: dict[tuple[int, int], Spec] = {}
        self._sizes: dict[int, tuple[int, float]] = {}
        """Training images, and passes of a prediction, by the `id` of a data spec, which all specs of a plan share."""
        self._settings: dict[int, list[Spec]] = {}
        self._keys = Keys()
        self._bases: dict[tuple[object, ...], int] = {}
        self._beginnings: dict[tuple[str, int], tuple[int, ...]] = {}
        self._passes: dict[tuple[int, int, int, float], float] = {}
        self._trained: dict[tuple[int | Technique | None, ...], int] = {}
        self._baselines = {stage: registry.baseline(stage) for stage in TECHNIQUE_STAGES}
        self._models: dict[str, Model] = {}
        regimes = [t for text in _techniques(suite) for t in registry.parse_all(text) if isinstance(t, Regime)]
        self._phases = Phases(regimes, self._baselines, registry, self.spec)

    def _begin_part(self) -> None:
        self.left_out: list[LeftOut] = []
        self.naive = 0
        self.passes_naive = 0.0
        self._alone: dict[str, float] = {}
        self._lines: dict[int, set[int]] = {}
        """Trainings of the part, by the numbers of their base and line (see `Keys`)."""
        self._ahead: dict[int, set[int]] = {}
        """What a later part may go on from, by the same numbers."""
        self._one: dict[int, Spec] = {}
        """Any training of a base."""
        self._fits: dict[str, Spec] = {}
        self._fit_keys: dict[tuple[object, ...], str] = {}
        self._predicts: dict[str, Job] = {}
        self._predict_keys: dict[tuple[str, str, str], str] = {}
        self._cells: dict[str, Job] = {}

    @property
    def size(self) -> int:
        """Cells of the part so far."""
        return len(self._cells)

    def take(self, *, more: bool) -> Plan:
        """Return the part so far as a plan, and begin another. more: whether other parts may follow."""
        foreseen = self.foreseen() if more or self.parts else set()
        jobs = self.ordered()
        costs = {key: self._cost(job, jobs) for key, job in jobs.items() if job.kind != "cell"}
        keys = {key: bytes.fromhex(key) for key in jobs}
        plan = Plan(
            jobs=jobs,
            left_out=self.left_out,
            images={key: self._sizes[id(job.spec["data"])][0] for key, job in jobs.items() if job.kind == "fit"},
            trainings_naive=self.naive,
            passes_naive=self.passes_naive,
            passes=costs,
            repeated=frozenset(key for key, short in keys.items() if short in self._done),
            foreseen=frozenset(jobs.keys() & foreseen),
        )
        self._done.update(keys.values())
        self.parts += 1
        self._begin_part()
        return plan

    def _cost(self, job: Job, jobs: Mapping[str, Job]) -> float:
        if job.kind == "predict":
            return self._sizes[id(jobs[job.parents[0]].spec["data"])][1]
        begun = jobs[job.parents[0]].spec["segments"][-1]["until"] if job.parents else 0.0
        return self._spent(job.spec, begun)

    def foreseen(self) -> set[str]:
        """Return the keys of states, on the way of this part's trainings, that a later part may go on from.

        A training that begins like the first phase of a regime passes through the state in which that phase ends.
        """
        found: set[str] = set()
        for base, lines in self._ahead.items():
            self._lines[base] |= lines
            for line in lines:
                spec = self._one[base] | {"segments": self._keys.segments(line)}
                found.add(self._keys.key(spec, base, line))
        return found

    def ahead(self, combination: Combination, trained: int, dataset: Dataset, segments: list[Spec]) -> tuple[int, ...]:
        """Return the lines, on the way of a training, of regimes of the suite under the same combination."""
        short = (dataset.augment, trained)
        if short not in self._beginnings:
            first, lane = segments[0]["until"], self._keys.lane(segments[0])
            self._beginnings[short] = tuple(
                self._keys.line(begun)
                for begun in self._phases.beginnings(combination, dataset)
                if begun[0]["until"] < first and self._keys.lane(begun[0]) == lane
            )
        return self._beginnings[short]

    def add_all(self, combination: Combination) -> None:
        """Add the cells of a combination: one for each recipe, pair of seeds and ground."""
        for number, recipe in enumerate(self.recipes):
            line = self.line(combination, number, recipe)
            for subset_seed, seed in self.suite.seed_pairs():
                for ground in self.grounds:
                    self.add_cell(line, ground, subset_seed, seed)

    def line(self, combination: Combination, number: int, recipe: Spec) -> _Line:
        picked = combination.by_stage
        posthoc = picked.get("posthoc")
        view = self.pick(combination, "view", View)
        ensemble = self.pick(combination, "ensemble", Ensemble)
        trained = (number, *(picked.get(stage) for stage in (*TRAINING_STAGES, "regime")))
        return _Line(
            combination=combination,
            recipe=recipe,
            regime=self.pick(combination, "regime", Regime),
            view=view,
            views=list(view.views()),
            owner=view.label,
            ensemble=ensemble,
            bagger=ensemble.label,
            trained=self._trained.setdefault(trained, len(self._trained)),
            spec={
                "kind": "cell",
                "protocol": PROTOCOL,
                "view": self.spec(view),
                "posthoc": None if posthoc is None else self.spec(posthoc),
                "ensemble": self.spec(ensemble),
            },
            extra={
                "combination": {stage: picked[stage].label if stage in picked else None for stage in TECHNIQUE_STAGES},
                "recipe": recipe,
                "notes": combination.notes,
            },
            techniques=[self.spec(t) | {"stage": t.stage} for t in combination.techniques],
        )

    def add_cell(self, line: _Line, ground: Setting, subset_seed: int, seed: int) -> None:
        members = line.ensemble.members(ground.counts)
        place = (ground.setting_key, subset_seed, seed)
        fits = [self.fit(ground, line, place, member) for member in members]
        parents = tuple(self.predict(fit, line, name) for fit in fits for name in line.views)
        spec = line.spec | {"members": fits}
        key = identity(spec)
        if key in self._cells or (self.parts and bytes.fromhex(key) in self._done):
            return  # another combination comes to the same, such as a switch of what is not there
        self.naive += len(fits)
        seen = predicting(ground.info) * len(line.views)
        self.passes_naive += sum(self._alone[fit] for fit in fits) + seen * len(fits)
        extra = line.extra | {
            "setting": ground.setting | {"subset_seed": subset_seed, "seed": seed},
            "fits": [self._fits[fit] for fit in fits],
            "views": line.views,
            "techniques": [*self.setting_specs(ground), *line.techniques],
        }
        self._cells[key] = Job(key=key, kind="cell", spec=spec, parents=parents, extra=extra)

    def setting_specs(self, ground: Setting) -> list[Spec]:
        if ground.setting_key not in self._settings:
            self._settings[ground.setting_key] = [
                self.spec(t) | {"stage": t.stage} for t in (ground.dataset, ground.profile, ground.model)
            ]
        return self._settings[ground.setting_key]

    def fit(self, ground: Setting, line: _Line, place: tuple[int, int, int], member: Member) -> str:
        """Return the key of a member's training. place: the ground by its key, the subset seed, and the training seed."""
        bagged = None if member.bag is None else line.bagger
        short = (line.trained, place, member.model, member.bag, member.seed_offset, bagged)
        known = self._fit_keys.get(short)
        if known is not None:
            return known
        _, subset_seed, seed = place
        model = self.model(member.model) if member.model else ground.model
        segments = self._phases.segments(line.combination, line.trained, line.regime, ground.dataset)
        spec: Spec = {
            "kind": "fit",
            "protocol": PROTOCOL,
            "data": self.data(ground, subset_seed),
            "bag": None if bagged is None else self.bag(line, member.bag),
            "model": self.spec(model),
            "recipe": line.recipe,
            "seed": seed + member.seed_offset,
            "segments": segments,
        }
        rest = (id(line.recipe), short[1:])
        base = self._bases.get(rest)
        if base is None:
            base = self._bases[rest] = self._keys.base(spec)
        number = self._keys.line(segments)
        key = self._fit_keys[short] = self._keys.key(spec, base, number)
        self._fits[key] = spec
        self._alone[key] = self._spent(spec, 0.0)
        self._one.setdefault(base, spec)
        self._lines.setdefault(base, set()).add(number)
        if ahead := self.ahead(line.combination, line.trained, ground.dataset, segments):
            self._ahead.setdefault(base, set()).update(ahead)
        return key

    def _spent(self, fit: Spec, begun: float) -> float:
        """Return the passes of a fit from a point of its training on."""
        images, _ = self._sizes[id(fit["data"])]
        short = (id(fit["segments"]), id(fit["recipe"]), images, begun)
        if short not in self._passes:
            self._passes[short] = passes(fit, images, begun)
        return self._passes[short]

    def bag(self, line: _Line, number: int | None) -> Spec:
        short = (line.bagger, number)
        if short not in self._bags:
            self._bags[short] = {"ensemble": self.spec(line.ensemble), "number": number}
        return self._bags[short]

    def predict(self, fit: str, line: _Line, name: str) -> str:
        short = (fit, "" if name == "identity" else line.owner, name)
        key = self._predict_keys.get(short)
        if key is None:
            spec = predict_spec(fit, self.spec(line.view), name)
            key = self._predict_keys[short] = identity(spec)
            self._predicts[key] = Job(key=key, kind="predict", spec=spec, parents=(fit,))
        return key

    def data(self, ground: Setting, subset_seed: int) -> Spec:
        short = (ground.setting_key, subset_seed)
        if short not in self._data:
            self._data[short] = {
                "dataset": self.spec(ground.dataset),
                "fingerprint": ground.info.fingerprint,
                "profile": self.spec(ground.profile),
                "imbalance_factor": float(ground.imbalance_factor),
                "subset_seed": subset_seed,
            }
            self._sizes[id(self._data[short])] = sum(ground.counts), predicting(ground.info)
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
        chains = chain_lines(self._lines, self._one, self._keys)
        for cell in self._cells.values():
            for predict in (self._predicts[key] for key in cell.parents):
                for fit in ancestors(predict.spec["fit"], chains):
                    jobs.setdefault(fit.key, fit)
                jobs.setdefault(predict.key, predict)
            jobs[cell.key] = cell
        return jobs


def _techniques(suite: Suite) -> list[str]:
    return [*suite.techniques, *(text for row in suite.combinations for text in row)]
