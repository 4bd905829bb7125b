"""The shape of a job: the properties that determine its duration. Needs no torch and reads no images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ltbench.core.spec import Job, Spec, canonical, label_of
from ltbench.jobs.described import description
from ltbench.stages import Branches, Dataset, DatasetInfo

if TYPE_CHECKING:
    from ltbench.executor import Techniques
    from ltbench.planning.plan import Plan

_STEP_STAGES = ("sampler", "augment", "mix", "auxiliary")
"""Stages whose cost depends on images. A loss or weight only handles a few numbers per image."""
_BATCH = 128
"""Batch size of a recipe without one, the default of `Recipe`."""

_WIDER: dict[str, tuple[dict[str, Any], ...]] = {
    "fit": ({"data": ""}, {"techniques": ""}, {"batch": 0, "optimizer": "", "classes": 0}),
    "predict": ({"techniques": ""}, {"data": "", "classes": 0}),
    "cell": ({"data": "", "techniques": ""},),
}
"""Fields that are cleared, step by step, to make a shape more general."""


class Shape(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The common properties of jobs with one speed. An empty field matches anything."""

    kind: str
    """features, fit, predict, select, cell, or start: from the start of a run to its first job."""
    data: str = ""
    """Data set; for a fit also profile and imbalance factor."""
    channels: int = 0
    size: int = 0
    classes: int = 0
    model: str = ""
    batch: int = 0
    precision: str = ""
    optimizer: str = ""
    trainable: str = ""
    techniques: str = ""

    def wider(self) -> Iterator[Shape]:
        """Yield the shape, then more and more general ones, of this model at this size."""
        yield self
        wide = self
        for without in _WIDER.get(self.kind, ()):
            wide = msgspec.structs.replace(wide, **without)
            yield wide

    def by_multiply_adds(self) -> Iterator[Shape]:
        """Yield the shapes for comparison by multiply-adds: of this model, then of any."""
        if self.kind in ("fit", "predict"):
            for model in (self.model, ""):
                yield Shape(kind=self.kind, precision=self.precision, trainable=self.trainable, model=model)

    @property
    def place(self) -> tuple[str, int, int]:
        """Model, channels and size, on which the multiply-adds of an image depend."""
        return self.model, self.channels, self.size


class Shapes:
    """Shape and work of the jobs of a plan. Work is passes of an image (`ltbench.planning.compute_cost`), or one cell."""

    def __init__(self, plan: Plan, registry: Techniques, data_root: Path) -> None:
        self._plan, self._registry, self._data_root = plan, registry, data_root
        self._infos: dict[bytes, DatasetInfo] = {}
        self._known: dict[tuple[object, ...], Shape] = {}

    def __call__(self, job: Job) -> tuple[Shape, float]:
        """Return shape and work of a job."""
        match job.kind:
            case "fit":
                # A classifier on stored features makes no pass; they count as one piece of work each.
                return self._fit(job.spec), self._plan.passes[job.key] or 1.0
            case "predict":
                return self._predict(job), self._plan.passes[job.key] or 1.0
            case "features":
                return self._features(job.spec), self._plan.passes[job.key] or 1.0
            case "select":
                return Shape(kind="select"), 1.0
            case _:
                return self._cell(job), 1.0

    def _fit(self, spec: Spec) -> Shape:
        data, recipe, last = spec["data"], spec["recipe"], spec["segments"][-1]
        key = (canonical([data, _network(spec), recipe, spec["bag"], last]), "teacher" in spec)
        if key in self._known:
            return self._known[key]
        parts = [label_of(last.get(stage)) for stage in _STEP_STAGES]
        if spec["bag"] is not None:
            parts.append(label_of(spec["bag"]["ensemble"]))
        parts += ["teacher"] if "teacher" in spec else []
        optimizer = recipe.get("optimizer", "sgd")
        shape = self._known[key] = Shape(
            kind="fit",
            data=f"{label_of(data['dataset'])} {label_of(data['profile'])} {data['imbalance_factor']:g}",
            batch=recipe.get("batch_size", _BATCH),
            optimizer=f"{optimizer} ema" if "ema" in recipe else optimizer,
            trainable="features" if "features" in spec else last["trainable"],
            techniques=" ".join(filter(None, parts)),
            **self._model_on_images(spec),
        )
        return shape

    def _predict(self, job: Job) -> Shape:
        fit, view, split = self._plan.jobs[job.parents[0]].spec, job.spec["view"], job.spec["split"]
        look = view if isinstance(view, str) else f"{label_of(view['technique'])} {view['name']}"
        key = (canonical([fit["data"]["dataset"], _network(fit)]), fit["recipe"]["precision"], look, split)
        if key not in self._known:
            # Fewer images take longer each, because loading a network takes as long for them.
            data = label_of(fit["data"]["dataset"]) + ("" if split == "test" else f" {split}")
            look = f"{look} features" if "features" in fit else look
            self._known[key] = Shape(kind="predict", data=data, techniques=look, **self._model_on_images(fit))
        return self._known[key]

    def _features(self, spec: Spec) -> Shape:
        fit = {"data": spec["data"], "model": spec["model"], "recipe": {"precision": spec["precision"]}}
        key = (canonical([spec["data"]["dataset"], spec["model"]]), spec["precision"], "features")
        if key not in self._known:
            self._known[key] = Shape(kind="features", **self._model_on_images(fit))
        return self._known[key]

    def _cell(self, job: Job) -> Shape:
        ensemble, posthoc, inputs = label_of(job.spec["ensemble"]), label_of(job.spec["posthoc"]), len(job.parents)
        key = (job.extra["setting"]["dataset"], ensemble, posthoc, inputs)
        if key not in self._known:
            techniques = " ".join(filter(None, (ensemble, posthoc, f"x{inputs}")))
            self._known[key] = Shape(kind="cell", data=key[0], techniques=techniques)
        return self._known[key]

    def _model_on_images(self, fit: Spec) -> dict[str, Any]:
        """Return the fields that a fit and its predictions have in common."""
        dataset = fit["data"]["dataset"]
        key = canonical(dataset)
        if key not in self._infos:
            self._infos[key] = description(self._registry.build_as(dataset, Dataset), self._data_root)
        info = self._infos[key]
        return {
            "channels": info.channels, "size": info.size, "classes": len(info.classes),
            "model": _network(fit), "precision": fit["recipe"]["precision"],
        }  # fmt: skip


def _network(fit: Spec) -> str:
    """Return the model of a fit, with its branches, which are several networks in part."""
    return " ".join(label_of(fit[stage]) for stage in ("model", Branches.stage) if stage in fit)
