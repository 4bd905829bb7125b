"""Reruns single cells from their records.

A record contains the specs of its cell and fits, so neither the suite nor its plan is needed.
"""

from __future__ import annotations

import itertools
import random
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ltbench.core.devices import AUTO
from ltbench.core.row_labels import BASELINE
from ltbench.core.spec import Job, Spec, canonical, identity, predict_spec
from ltbench.errors import PluginError
from ltbench.executor import Techniques
from ltbench.jobs.evidence import Needed
from ltbench.planning.feature_jobs import feature_jobs
from ltbench.planning.plan import Plan
from ltbench.planning.shared_fits import ancestors, chain_fits
from ltbench.records.plugins_needed import plugin_words
from ltbench.records.record import Provenance, Record, validate
from ltbench.running.options import DEFAULT_OPTIONS, RunOptions
from ltbench.running.runner import run
from ltbench.stages import TECHNIQUE_STAGES, View, always_stated

if TYPE_CHECKING:
    from ltbench.executor import Context, Executor
    from ltbench.running.events import Event


def plan_of(records: Sequence[Record], registry: Techniques) -> Plan:
    """Return the plan that reruns the cells of these records, sharing trainings.

    Raises `PluginError` if a technique is not installed, or of another distribution or revision.
    """
    fits: dict[str, Spec] = {}
    images: dict[str, int] = {}
    for record in records:
        fits |= dict(zip(record.spec["members"], record.fits, strict=True))
        images |= dict.fromkeys(record.spec["members"], int(sum(record.data.get("counts", []))))
    chains = chain_fits(fits.values())
    jobs: dict[str, Job] = {}
    for record in records:
        techniques = installed(record, registry)
        names = list(registry.build_as(record.spec["view"], View).views())
        needed = Needed.by_cell(record.spec, record.fits[0]["data"], registry)
        parents: list[str] = []
        for fit in record.spec["members"]:
            jobs |= {job.key: job for job in ancestors(fit, chains)}
            for split, name in itertools.product(needed.splits, names):
                spec = predict_spec(fit, record.spec["view"], name, split, features=needed.features)
                read = feature_jobs(fits[fit], spec)
                jobs |= {job.key: job for job in read}
                predict = Job(key=identity(spec), kind="predict", spec=spec, parents=(fit, *(job.key for job in read)))
                jobs[predict.key] = predict
                parents.append(predict.key)
        extra = {
            "setting": msgspec.to_builtins(record.setting),
            "combination": {
                stage: record.combination.get(stage)
                for stage in TECHNIQUE_STAGES
                if stage in record.combination or always_stated(stage)
            },
            "recipe": record.recipe,
            "notes": record.notes,
            "fits": record.fits,
            "views": names,
            "techniques": techniques,
        }
        jobs[record.id] = Job(key=record.id, kind="cell", spec=record.spec, parents=tuple(parents), extra=extra)
    return Plan(jobs=jobs, left_out=[], images=images, trainings_naive=sum(len(r.fits) for r in records))


def installed(record: Record, registry: Techniques) -> list[Spec]:
    """Return the specs of a record's techniques as installed here, each with its stage.

    Raises `PluginError` if one is not installed, or of another distribution or revision.
    """
    for spec in techniques_of(record):
        registry.build(spec)
    made = {plugin.name: plugin for plugin in record.plugins}
    setting = record.setting
    places = {"dataset": setting.dataset, "profile": setting.profile, "model": setting.model}
    used: list[Spec] = []
    for stage, label in {**places, **record.combination}.items():
        if label is not None:
            technique = registry.parse(label, stage)
            if technique.name in made:
                _check_revision(made[technique.name], registry)
            used.append(registry.spec(technique) | {"stage": stage})
    return used


def techniques_of(record: Record) -> list[Spec]:
    """Return the specs of the techniques that influence a cell, each once."""
    specs: dict[bytes, Spec] = {}

    def collect(value: object) -> None:
        if isinstance(value, dict):
            if {"name", "distribution", "revision", "params"} <= value.keys():
                specs.setdefault(canonical(value), value)
            else:
                for part in value.values():
                    collect(part)
        elif isinstance(value, list):
            for part in value:
                collect(part)

    collect([record.spec, record.fits])
    return list(specs.values())


def _check_revision(made: Provenance, registry: Techniques) -> None:
    """Raise `PluginError` if the installed technique is not the one that a record was made with."""
    entry = registry.entry(made.name, made.distribution)
    if (entry.distribution, entry.technique.revision) != (made.distribution, made.revision):
        raise PluginError(
            f"the record was made with {made.stage} '{made.name}' of {made.distribution} revision {made.revision}, but "
            f"{entry.distribution} revision {entry.technique.revision} is installed",
            fix=f"install {made.distribution} {made.version}",
        )


def command_of(record: Record, where: Path | None = None) -> str:
    """Return the command that reruns only the cell of a record, in a new store.

    where: the location of the record, unless it is a leaderboard or the default store.
    """
    words = ["ltbench", "run", "--cell", record.id]
    if where is not None:
        words += ["--records", str(where)]
    words += plugin_words([record])
    return shlex.join([*words, "--store", f"rerun-{record.id[:8]}"])


def drawn(records: Sequence[Record], count: int, seed: int) -> list[Record]:
    """Return `count` records drawn at random, independent of their order; all if there are fewer.

    As far as possible, every technique, data set and model has one cell in the draw before any has a second one.
    Otherwise techniques with few cells would hardly ever be drawn.
    """
    rng = random.Random(seed)  # noqa: S311 - whoever cannot know the seed beforehand cannot know the draw
    by_id = {record.id: record for record in records}
    left = {key: parts_of(by_id[key]) for key in sorted(by_id)}
    parts = sorted(set().union(*left.values()))
    rank = {part: place for place, part in enumerate(rng.sample(parts, len(parts)))}
    times: Counter[str] = Counter()
    chosen: list[Record] = []

    def again(key: str) -> int:
        return sum(times[part] for part in left[key])

    while left and len(chosen) < count:
        part = min(set().union(*left.values()), key=lambda part: (times[part], rank[part]))
        having = [key for key in left if part in left[key]]
        fewest = min(map(again, having))
        key = rng.choice([key for key in having if again(key) == fewest])
        chosen.append(by_id[key])
        times.update(left.pop(key))
    return chosen


def device_of(records: Iterable[Record], asked: str) -> str:
    """Return what records are to be rerun on, as for --device: for `auto` what they were made on, if there is one kind."""
    if asked != AUTO:
        return asked
    return "cpu" if all(record.environment.get("device", "cpu") == "cpu" for record in records) else AUTO


def parts_of(record: Record) -> set[str]:
    """Return what a record covers in a draw: its techniques (or the baseline), data set and model."""
    setting = record.setting
    techniques = {label for _, label in record.techniques} or {BASELINE}
    return techniques | {setting.dataset, setting.profile, setting.model}


def retrain(
    records: Sequence[Record], context: Context, executor: Executor, options: RunOptions = DEFAULT_OPTIONS, *,
    on_event: Callable[[Event], None],
) -> dict[str, Record]:  # fmt: skip
    """Compute the cells of these records in the store of `context` and return their new records by id.

    on_event: as for `ltbench.running.runner.run`. Raises `Interrupted`, and `PluginError` if a technique is not
    installed.
    """
    run(plan_of(records, context.registry), context, executor, options, on_event=on_event)
    raw_records = {record.id: context.store.record(record.id) for record in records}
    return {key: validate(raw, f"cell {key}") for key, raw in raw_records.items() if raw is not None}
