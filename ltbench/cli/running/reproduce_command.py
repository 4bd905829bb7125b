"""The command, shown on a page, that reproduces its records."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from ltbench.cli.asked_suite import every_technique
from ltbench.cli.options import load_registry
from ltbench.core.generated_files import display_path
from ltbench.errors import LtbenchError
from ltbench.records.comparability import TUNED
from ltbench.records.plugins_needed import words_of
from ltbench.stages import Dataset
from ltbench.technique import written

if TYPE_CHECKING:
    from ltbench.leaderboard.suite_facts import SuiteFacts
    from ltbench.records.record import Record
    from ltbench.registry.registry import Registry
    from ltbench.suite.suite import Suite
    from ltbench.technique import Technique


def suite_command(asked: Suite, base: Suite, registry: Registry, file: Path | None = None) -> str:
    """Return the command that runs a suite with the changes of a command line.

    base: the suite as installed, or as in `file`; asked: the suite with the changes.
    """

    def parsed(texts: Iterable[str]) -> list[Technique]:
        return [technique for text in texts for technique in registry.parse_all(text)]

    def labels(texts: Iterable[str]) -> list[str]:
        return [technique.label for technique in parsed(texts)]

    words = ["ltbench", "run", "--suite", base.name if file is None else display_path(file)]
    chosen, own = labels(asked.techniques), labels(base.techniques)
    listed = bool(base.combinations) and not asked.combinations
    is_ordered = asked.strategy == "cumulative"
    if chosen != own if is_ordered else set(chosen) != set(own):
        if set(chosen) == set(labels(every_technique(registry))):
            words.append("--all")
        else:
            words += ["--plugins", ",".join(chosen if is_ordered else sorted(chosen))]
        listed = False
    datasets, profiles = labels(asked.datasets), labels(asked.profiles)
    others = set(datasets) != set(labels(base.datasets))
    with_profiles = set(profiles) != set(labels(_profiles(asked, base, registry)))
    # Without --imbalance-factors, a profile that keeps every image has a single factor.
    with_factors = with_profiles and any(map(_keeps_all, parsed(asked.profiles)))
    for option, values, is_needed in (
        ("--datasets", datasets, others),
        ("--profiles", profiles, with_profiles),
        ("--models", labels(asked.models), set(labels(asked.models)) != set(labels(base.models))),
        (
            "--imbalance-factors",
            asked.imbalance_factors,
            with_factors or set(asked.imbalance_factors) != set(base.imbalance_factors),
        ),
        ("--seeds", asked.seeds, set(asked.seeds) != set(base.seeds)),
    ):
        if is_needed:
            words += [option, ",".join(map(written, values))]
    if asked.strategy != base.strategy or listed:
        words += ["--strategy", asked.strategy]
    if asked.max_techniques is not None and asked.max_techniques != base.max_techniques:
        words += ["--max-techniques", str(asked.max_techniques)]
    if asked.held_out != base.held_out:
        words += ["--held-out", written(asked.held_out)]
    swept = base.sweep.keys() - asked.sweep.keys()
    for field in base.recipe.__struct_fields__:
        value = getattr(asked.recipe, field)
        if value is not None and (value != getattr(base.recipe, field) or field in swept):
            words += ["--set", f"{field}={_toml(value)}"]
    if asked.metric != base.metric:
        words += ["--metric", asked.metric]
    return shlex.join(words)


def _keeps_all(profile: Technique) -> bool:
    from ltbench.stages import Profile

    return isinstance(profile, Profile) and profile.keeps_all


def _toml(value: object) -> str:
    """Return a value as written for `--set`."""
    return json.dumps(value) if isinstance(value, tuple) else written(value)


def with_suite_file(command: str, old: Path, new: Path) -> str:
    """Return the command with another path of its suite file."""
    words = words_of(command)
    # The command may have been written from another working directory.
    moved = [display_path(new) if os.path.abspath(word) == os.path.abspath(old) else word for word in words]  # noqa: PTH100
    return command if moved == words else shlex.join(moved)


def with_records(facts: SuiteFacts, records: Sequence[Record], *, is_whole: bool = False) -> SuiteFacts:
    """Return the facts with the seeds and columns of records and, if the suite is installed, the command for them.

    records: as the page shows them, so that a cell with tuned values is one of its row; is_whole: whether the command runs the whole suite, including cells without records.
    """
    from ltbench.leaderboard.tables.columns import columns_present, declared_columns, join_columns
    from ltbench.registry.discovery import PluginSelection
    from ltbench.suite.suite import find_suite

    registry = load_registry(PluginSelection())
    # Records files and stores define no columns, so those of the installed metrics are added.
    columns = columns_present(records, join_columns(facts.columns, declared_columns(registry.of("metric"))))
    seeds = {record.seeds for record in records} | set(facts.seeds)
    facts = msgspec.structs.replace(facts, seeds=tuple(sorted(seeds)), columns=columns)
    if facts.name not in registry.suites or not facts.command:
        return facts
    try:
        command = _command_of(facts, find_suite(facts.name, registry), records, registry, is_whole=is_whole)
    except LtbenchError as error:
        click.echo(f"the command of the page is not updated: {error.what}", err=True)
        return facts
    return msgspec.structs.replace(facts, command=command)


def _command_of(facts: SuiteFacts, own: Suite, records: Sequence[Record], registry: Registry, *, is_whole: bool) -> str:
    """Return one command for the records of a page, even if several commands produced them."""
    from ltbench.suite.suite import changed

    settings = [record.setting for record in records]
    found: dict[str, set[Any]] = {
        "datasets": {s.dataset for s in settings},
        "profiles": {s.profile for s in settings},
        "models": {s.model for s in settings},
        "imbalance_factors": {s.imbalance_factor for s in settings},
        "seeds": {seed for _, seed in facts.seeds},
        "techniques": {label for record in records for stage, label in record.techniques if stage != TUNED},
    }
    changes: dict[str, object] = {}
    for field, values in found.items():
        stated = getattr(own, field)
        mine = _labels(stated, registry) if isinstance(stated[0] if stated else "", str) else set(stated)
        if mine != values and not (is_whole and values <= mine):
            changes[field] = sorted(values | (mine if is_whole else set()))
    shares = {record.fits[0]["data"].get("held_out", 0.0) for record in records if record.fits}
    if len(shares) == 1 and not isinstance(share := shares.pop(), str):
        changes["held_out"] = share
    if "techniques" in changes:
        changes["combinations"] = []
    return suite_command(changed(own, **changes), own, registry)


def _labels(texts: Iterable[str], registry: Registry) -> set[str]:
    return {technique.label for text in texts for technique in registry.parse_all(text)}


def _profiles(asked: Suite, base: Suite, registry: Registry) -> tuple[str, ...]:
    """Return the profiles of a run without `--profiles`; empty if they depend on the data sets."""
    changed = set(asked.datasets) != set(base.datasets)
    named = [registry.parse(label, "dataset") for label in asked.datasets if changed]
    return () if any(isinstance(dataset, Dataset) and dataset.profile for dataset in named) else base.profiles
