"""One cell alone: from its record to the jobs that make it again.

A record holds the specs of its cell and of its fits, so neither the suite nor the plan that it came from is needed.
"""

from __future__ import annotations

import random
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ltbench.core.spec import Job, Spec, canonical, identity, predict_spec
from ltbench.errors import PluginError
from ltbench.executor import Techniques
from ltbench.planning.plan import Plan
from ltbench.planning.shared_fits import ancestors, chain_fits
from ltbench.records.plugins_needed import plugin_words
from ltbench.records.record import Provenance, Record, validate
from ltbench.running.runner import run
from ltbench.stages import TECHNIQUE_STAGES, View

if TYPE_CHECKING:
    from ltbench.executor import Context, Executor


def plan_of(records: Sequence[Record], registry: Techniques) -> Plan:
    """Return the jobs that make the cells of these records again, and no other. What they share is done once.

    Raises `PluginError` where a technique is not installed, or of another distribution or revision.
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
        parents: list[str] = []
        for fit in record.spec["members"]:
            jobs |= {job.key: job for job in ancestors(fit, chains)}
            for name in names:
                spec = predict_spec(fit, record.spec["view"], name)
                predict = Job(key=identity(spec), kind="predict", spec=spec, parents=(fit,))
                jobs[predict.key] = predict
                parents.append(predict.key)
        extra = {
            "setting": msgspec.to_builtins(record.setting),
            "combination": {stage: record.combination.get(stage) for stage in TECHNIQUE_STAGES},
            "recipe": record.recipe,
            "notes": record.notes,
            "fits": record.fits,
            "views": names,
            "techniques": techniques,
        }
        jobs[record.id] = Job(key=record.id, kind="cell", spec=record.spec, parents=tuple(parents), extra=extra)
    return Plan(jobs=jobs, left_out=[], images=images, trainings_naive=sum(len(r.fits) for r in records))


def installed(record: Record, registry: Techniques) -> list[Spec]:
    """Return the specs of the techniques that a record names, each with its stage, as they are installed here.

    Raises `PluginError` where one is not, or is of another distribution or revision.
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
            check_revision(made.get(technique.name), technique.name, registry)
            used.append(registry.spec(technique) | {"stage": stage})
    return used


def techniques_of(record: Record) -> list[Spec]:
    """Return the specs of the techniques that influence a cell, each once."""
    found: dict[bytes, Spec] = {}

    def look(value: object) -> None:
        if isinstance(value, dict):
            if {"name", "distribution", "revision", "params"} <= value.keys():
                found.setdefault(canonical(value), value)
            else:
                for part in value.values():
                    look(part)
        elif isinstance(value, list):
            for part in value:
                look(part)

    look([record.spec, record.fits])
    return list(found.values())


def check_revision(made: Provenance | None, name: str, registry: Techniques) -> None:
    """Raise `PluginError` where the technique that is installed is not the one that a record was made with."""
    if made is None:
        return
    entry = registry.entry(name)
    if (entry.distribution, entry.technique.revision) != (made.distribution, made.revision):
        raise PluginError(
            f"{made.stage} '{name}' is asked for as {made.distribution} revision {made.revision}, and "
            f"{entry.distribution} revision {entry.technique.revision} is installed",
            fix=f"install {made.distribution} {made.version}",
        )


def command_of(record: Record, where: Path | None = None) -> str:
    """Return the command that trains the cell of a record again, alone, in a store of its own.

    where: what holds the record, if it is neither a leaderboard nor the store.
    """
    words = ["ltbench", "run", "--cell", record.id]
    if where is not None:
        words += ["--records", str(where)]
    words += plugin_words([record])
    return shlex.join([*words, "--store", f"rerun-{record.id[:8]}"])


def drawn(records: Sequence[Record], count: int, seed: int) -> list[Record]:
    """Return `count` of the records, drawn at random with that seed whatever their order; all where there are fewer."""
    by_id = {record.id: record for record in records}
    chance = random.Random(seed)  # noqa: S311 - whoever cannot know the seed beforehand cannot know the draw
    return [by_id[key] for key in chance.sample(sorted(by_id), min(count, len(by_id)))]


def trained_again(records: Sequence[Record], context: Context, executor: Executor, **how: Any) -> dict[str, Record]:
    """Make the cells of these records in the store of `context` and return their new records by id.

    how: as for `ltbench.running.runner.run`. Raises `Interrupted`, and `PluginError` where a technique is not installed.
    """
    run(plan_of(records, context.registry), context, executor, **how)
    made = {record.id: context.store.record(record.id) for record in records}
    return {key: validate(raw, f"cell {key}") for key, raw in made.items() if raw is not None}
