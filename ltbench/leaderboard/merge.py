"""Merge records of several machines: duplicates are matched by identity, conflicts are never resolved silently."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from ltbench.columns import TOP1
from ltbench.core.spec import canonical
from ltbench.executor import Techniques
from ltbench.leaderboard.statistics.record_groups import group_records, other_images
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.leaderboard.tables.columns import join_columns
from ltbench.records.agreement import has_more_metrics, result_digest
from ltbench.records.record import Record
from ltbench.records.records_file import RecordsFile, records_file
from ltbench.suite.recipe import recipe_spec
from ltbench.suite.suite import Suite

SuiteBoard = tuple[str, str, str, bytes]
"""Data set, profile, model and recipe: what a suite says of all its rows."""


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One version of the numbers of a cell, and the places that have it."""

    outcome: str
    top1: float | None
    places: list[str]


class Conflict(msgspec.Struct, frozen=True, kw_only=True):
    """A cell whose numbers differ between places."""

    id: str
    label: str
    imbalance_factor: float
    seed: int
    versions: list[Version]
    kept: str
    """The outcome that was kept or preferred; empty if the cell is new and no place is preferred."""


class MergeResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a merge."""

    records_file: RecordsFile
    added: int
    """New cells."""
    duplicates: int
    """Records with the same numbers as another record of their cell."""
    renewed: int
    """Cells that failed before and now have numbers."""
    conflicts: list[Conflict]
    protocols: list[str]
    other_versions: int
    """Records that share a slot with another one, made with other revisions."""
    other_images: list[str]
    """Data sets that had other images in some places."""


def merge_records_files(old: RecordsFile, new: Mapping[str, RecordsFile], *, prefer: str | None = None) -> MergeResult:
    """Merge records files; the order of the places does not matter.

    old: the records of the target; new: those of the sources, by the name of their place. If numbers of a cell differ,
    those of `prefer` are taken, else the old ones, else none. Of records with the same numbers the one with the lowest
    digest is kept, of those that have the numbers of more metrics the fullest one, and numbers replace a failure.
    """
    places = {"": old, **new}
    invalidations = [entry for place in places.values() for entry in place.invalidations]
    # An invalidation of one place withdraws the record in all of them.
    known = records_file([record for place in places.values() for record in place.all_records], invalidations).withdrawn
    everything = {
        name: records_file(place.all_records, invalidations, withdrawn_elsewhere=known)
        for name, place in places.items()
    }
    by_cell: dict[str, dict[str, dict[str, Record]]] = {}
    for name in sorted(everything):
        for record in everything[name].records:
            here = by_cell.setdefault(record.id, {}).setdefault(_numbers(record), {})
            # The lowest digest, so that the order of the records does not matter.
            here[name] = min(here.get(name, record), record, key=lambda record: record.digest)
    kept: list[Record] = []
    conflicts: list[Conflict] = []
    for cell in sorted(by_cell):
        by_cell[cell] = _joined(by_cell[cell])
        versions = {number: by_place for number, by_place in by_cell[cell].items() if number} or by_cell[cell]
        chosen = next(iter(versions)) if len(versions) == 1 else _preferred(versions, prefer)
        if len(versions) > 1:
            conflicts.append(_conflict(versions, chosen))
        if chosen is not None:
            kept.append(min(versions[chosen].values(), key=_fullest))
    before = {record.id: record for record in everything[""].records}
    withdrawn = [record for place in everything.values() for record in place.withdrawn]
    return MergeResult(
        records_file=records_file([*kept, *_lowest(withdrawn)], invalidations),
        added=sum(record.id not in before for record in kept),
        duplicates=sum(len(by_place) - 1 for cell in by_cell.values() for by_place in cell.values()),
        renewed=sum(record.id in before and before[record.id].status != record.status for record in kept),
        conflicts=conflicts,
        protocols=sorted({record.protocol for record in kept}),
        other_versions=len(kept) - len({record.slot for record in kept}),
        other_images=other_images(group_records(kept)),
    )


def _numbers(record: Record) -> str:
    """Return the result digest of a record; empty for a failure, which conflicts with nothing."""
    return result_digest(record) if record.status == "ok" else ""


def _joined(versions: Mapping[str, Mapping[str, Record]]) -> dict[str, dict[str, Record]]:
    """Return the versions of a cell without those that only lack metrics which another one has."""
    joined: dict[str, dict[str, Record]] = {}
    for number, by_place in sorted(versions.items(), key=lambda version: _fullest(next(iter(version[1].values())))):
        one = next(iter(by_place.values()))
        full = next((n for n, known in joined.items() if has_more_metrics(next(iter(known.values())), one)), number)
        joined[full] = dict(by_place) | joined.get(full, {})
    return joined


def _fullest(record: Record) -> tuple[int, str]:
    """Return the sort key by which the record with the most numbers is first, and of equal ones the lowest digest."""
    return -len(record.metrics) - len(record.per_class), record.digest


def _preferred(versions: Mapping[str, Mapping[str, Record]], prefer: str | None) -> str | None:
    for place in (prefer, ""):
        candidates = [number for number, by_place in versions.items() if place in by_place]
        # A place with conflicting records of its own resolves nothing.
        if place is not None and len(candidates) == 1:
            return candidates[0]
    return None


def _conflict(versions: Mapping[str, Mapping[str, Record]], chosen: str | None) -> Conflict:
    record = next(iter(next(iter(versions.values())).values()))
    return Conflict(
        id=record.id,
        label=record.label,
        imbalance_factor=record.setting.imbalance_factor,
        seed=record.setting.seed,
        versions=[
            Version(outcome=number, top1=next(iter(by_place.values())).score(TOP1), places=sorted(by_place))
            for number, by_place in sorted(versions.items())
        ],
        kept=chosen or "",
    )


def _lowest(records: Iterable[Record]) -> list[Record]:
    lowest: dict[tuple[str, str], Record] = {}
    for record in records:
        key = (record.id, result_digest(record))
        lowest[key] = min(lowest.get(key, record), record, key=lambda record: record.digest)
    return list(lowest.values())


def merge_facts(name: str, mine: SuiteFacts | None, theirs: Iterable[SuiteFacts]) -> SuiteFacts:
    """Return the facts of a merged suite: the target's, else those of the sources if they agree; columns of all sides."""
    sources = list(theirs)
    columns = join_columns(() if mine is None else mine.columns, *(facts.columns for facts in sources))
    if mine is not None:
        return msgspec.structs.replace(mine, columns=columns)
    seeds = tuple(sorted({pair for facts in sources for pair in facts.seeds}))
    alike = [msgspec.structs.replace(facts, seeds=seeds, unfinished=0, columns=columns) for facts in sources]
    agree = alike and all(facts == alike[0] for facts in alike)
    return alike[0] if agree else SuiteFacts(name=name, columns=columns)


def board_of(record: Record) -> SuiteBoard:
    """Return what the suite of a record says of all its rows."""
    setting = record.setting
    return setting.dataset, setting.profile, setting.model, _recipe_key(record.recipe)


def boards_of_suite(suite: Suite, registry: Techniques) -> set[SuiteBoard]:
    """Return what a suite says of all its rows, one entry for each data set, profile, model and recipe."""

    def labels(texts: Iterable[str]) -> list[str]:
        return [technique.label for text in texts for technique in registry.parse_all(text)]

    recipes = [_recipe_key(recipe_spec(recipe)) for recipe in suite.recipes()]
    return set(itertools.product(labels(suite.datasets), labels(suite.profiles), labels(suite.models), recipes))


def _recipe_key(recipe: Mapping[str, Any]) -> bytes:
    # The machine decides about the precision where a suite does not.
    return canonical({key: value for key, value in recipe.items() if key != "precision"})
