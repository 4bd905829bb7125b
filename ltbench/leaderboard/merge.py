"""Merge records of several machines: duplicates are matched by identity, conflicts are never resolved silently."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from ltbench.columns import TOP1
from ltbench.core.spec import canonical
from ltbench.executor import Techniques
from ltbench.leaderboard.statistics.record_groups import group_records, other_images
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.leaderboard.tables.columns import join_columns
from ltbench.records.agreement import has_more_metrics, result_digest
from ltbench.records.comparability import Component, Version
from ltbench.records.record import Record
from ltbench.records.records_file import Invalidation, RecordsFile, records_file
from ltbench.registry.registry import Registry
from ltbench.stages import STAGES
from ltbench.suite.recipe import recipe_spec
from ltbench.suite.suite import Suite

SuiteBoard = tuple[str, str, str, bytes]
"""Data set, profile, model and recipe: what a suite says of all its rows."""


class CellVersion(msgspec.Struct, frozen=True, kw_only=True):
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
    versions: list[CellVersion]
    kept: str
    """The outcome that was kept or preferred; empty if the cell is new and no place is preferred."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """A record that is not merged, and why."""

    place: str
    id: str
    label: str
    why: str


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
    proposed: list[tuple[str, Invalidation]]
    """Place and withdrawal of cells that only that place withdraws."""
    refused: list[Refusal]
    """Records that would take the place of a row of the target."""


def merge_records_files(
    old: RecordsFile,
    new: Mapping[str, RecordsFile],
    *,
    prefer: str | None = None,
    accept_withdrawals: bool = False,
    installed: Mapping[Component, Version] | None = None,
) -> MergeResult:
    """Merge records files; the order of the places does not matter.

    old: the records of the target; new: those of the sources, by the name of their place. What the target has stays as it is, except
    that numbers replace a failure. If numbers of a cell differ, those of `prefer` are taken, else the old ones, else none. Of new records
    with the same numbers the one with the lowest digest is kept, of those that have the numbers of more metrics the fullest one.
    accept_withdrawals: whether a source may withdraw cells of other places; installed: versions of techniques.
    """
    accepted, refused = {}, []
    for name, place in new.items():
        accepted[name], found = _without_usurpers(name, place, old.all_records, installed or {})
        refused += found
    places = {"": old, **accepted}
    withdrawals = {name: place.invalidations for name, place in places.items() if not name or accept_withdrawals}
    invalidations = [entry for entries in withdrawals.values() for entry in entries]
    # An accepted invalidation withdraws the record in all places. Of the others, a place has left out what it withdraws.
    everyone = {name: place.all_records if name in withdrawals else place.records for name, place in places.items()}
    known = records_file([record for records in everyone.values() for record in records], invalidations).withdrawn
    everything = {
        name: records_file(records, invalidations, withdrawn_elsewhere=known) for name, records in everyone.items()
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
            kept.append(_one_of(versions[chosen], prefer))
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
        proposed=_proposed(kept, new, {each.digest for each in invalidations}),
        refused=sorted(refused, key=lambda one: (one.place, one.id)),
    )


def _one_of(same: Mapping[str, Record], prefer: str | None) -> Record:
    """Return one of the records with the same numbers, by place: the preferred one, that of the target, or the fullest."""
    for place in (prefer, ""):
        if place is not None and place in same and (place == prefer or same[place].status == "ok"):
            return same[place]
    return min(same.values(), key=_fullest)


def _proposed(
    kept: Iterable[Record], new: Mapping[str, RecordsFile], known: Collection[str]
) -> list[tuple[str, Invalidation]]:
    by_id = {record.id: record for record in kept}
    return [
        (name, one)
        for name, place in sorted(new.items())
        for one in place.invalidations
        if one.digest not in known and one.id in by_id and result_digest(by_id[one.id]) == one.outcome
    ]


def _without_usurpers(
    name: str, place: RecordsFile, mine: Sequence[Record], installed: Mapping[Component, Version]
) -> tuple[RecordsFile, list[Refusal]]:
    """Return a place without the records that would take the place of rows of the target, and why each is left out.

    A page shows the highest revision of a technique alone, so a record that claims one which nobody here knows would
    hide all others.
    """
    known: dict[Component, Version] = {}
    for record in mine:
        for component, version in record.components.items():
            known[component] = max(known.get(component, version), version)
    for component, version in installed.items():
        known[component] = max(known.get(component, version), version)
    slots: dict[tuple[object, ...], list[Record]] = {}
    for record in mine:
        slots.setdefault(record.slot, []).append(record)
    refused = []
    for record in place.all_records:
        newer = [(c, v) for c, v in record.components.items() if c in known and v > known[c]]
        rivals = slots.get(record.slot, [])
        if newer:
            (stage, technique), (revision, distribution) = newer[0]
            why = f"{stage} '{technique}' is revision {revision} of {distribution}, newer than or other than the one known here"
        elif all(one.id != record.id for one in rivals) and any(one.components == record.components for one in rivals):
            why = f"another training than that of the same row and seed, {rivals[0].id[:12]}"
        else:
            continue
        refused.append(Refusal(place=name, id=record.id, label=record.label, why=why))
    out = {one.id for one in refused}
    if not out:
        return place, []
    left = records_file((one for one in place.all_records if one.id not in out), place.invalidations)
    return left, refused


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
            CellVersion(outcome=number, top1=next(iter(by_place.values())).score(TOP1), places=sorted(by_place))
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


def installed_versions(registry: Registry) -> dict[Component, Version]:
    """Return revision and distribution of each installed technique."""
    return {
        (stage, name): (technique.revision, registry.entry(name).distribution)
        for stage in STAGES
        for name, technique in registry.of(stage).items()
    }


def merge_facts(name: str, mine: SuiteFacts | None, theirs: Iterable[SuiteFacts]) -> SuiteFacts:
    """Return the facts of a merged suite: the target's alone, or of a new page those of the sources if they agree.

    No command is among the latter: it is made anew, or left out.
    """
    if mine is not None:
        return mine
    sources = list(theirs)
    columns = join_columns(*(facts.columns for facts in sources))
    seeds = tuple(sorted({pair for facts in sources for pair in facts.seeds}))
    alike = [
        msgspec.structs.replace(facts, command="", seeds=seeds, unfinished=0, columns=columns) for facts in sources
    ]
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
