"""Groups of comparable records, with access by combination, factor and score."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from ltbench.core.spec import Spec, canonical
from ltbench.records.record import BoardKey, Record, sort_key
from ltbench.suite.published import SettingFilter
from ltbench.suite.recipe import Recipe

Pair = tuple[int, int]
"""Subset seed and training seed."""


class BoardFields(msgspec.Struct, frozen=True, kw_only=True):
    """The fields that comparable records have in common."""

    protocol: str
    dataset: str
    profile: str
    model: str
    recipe: Spec

    @property
    def key(self) -> BoardKey:
        """The `Record.board` of its records."""
        return self.protocol, self.dataset, self.profile, self.model, canonical(self.recipe)


class RecordGroup(BoardFields, frozen=True, kw_only=True):
    """The records of one protocol, data set, profile, model and recipe, one for each cell, in their fixed order."""

    records: list[Record]
    older: int
    """Records left out because another one of the same cell has a higher revision."""

    @property
    def factors(self) -> list[float]:
        """The imbalance factors of the records, lowest first."""
        return sorted({record.setting.imbalance_factor for record in self.records})

    def ok_count(self, factor: float | None = None) -> int:
        """Return the number of ok records, at one imbalance factor or at all."""
        return sum(r.status == "ok" and factor in (None, r.setting.imbalance_factor) for r in self.records)

    def ok_records(self, techniques: Iterable[str], factor: float) -> list[Record]:
        """Return the ok records of a combination at one factor. techniques: labels, in any order."""
        labels = frozenset(techniques)
        return [
            record
            for record in self.records
            if record.setting.imbalance_factor == factor
            and record.status == "ok"
            and {label for _, label in record.techniques} == labels
        ]

    def scores(self, techniques: Iterable[str], factor: float, metric: str) -> dict[Pair, float]:
        """Return run -> score of a combination, without runs in which it is undefined."""
        records = self.ok_records(techniques, factor)
        return {record.seeds: score for record in records if (score := record.score(metric)) is not None}

    def matches(self, settings: SettingFilter) -> bool:
        """Return whether `settings` matches these records."""
        own = (self.dataset, self.profile, self.model)
        wanted = (settings.dataset, settings.profile, settings.model)
        if any(want is not None and want != have for want, have in zip(wanted, own, strict=True)):
            return False
        # The recipe of a record leaves out what is at its default.
        defaults = msgspec.to_builtins(Recipe(steps=1))
        return all(self.recipe.get(key, defaults[key]) == value for key, value in settings.recipe.items())


def group_records(records: Iterable[Record]) -> list[RecordGroup]:
    """Group comparable records, in the order in which a page shows them."""
    groups: dict[BoardKey, list[Record]] = {}
    for record in sorted(records, key=sort_key):
        groups.setdefault(record.board, []).append(record)
    result = []
    for (protocol, dataset, profile, model, _), group in groups.items():
        current = newest(group)
        result.append(
            RecordGroup(
                protocol=protocol, dataset=dataset, profile=profile, model=model, recipe=group[0].recipe,
                records=current, older=len(group) - len(current),
            )
        )  # fmt: skip
    return result


def newest(records: list[Record]) -> list[Record]:
    """Return the newest record of each slot, in their fixed order: that with the highest revisions."""
    best: dict[tuple[object, ...], Record] = {}
    for record in records:
        best[record.slot] = max(best.get(record.slot, record), record, key=_version)
    return sorted(best.values(), key=sort_key)


def _version(record: Record) -> tuple[object, ...]:
    # A failure never hides numbers. The id breaks ties, so that the order of the records does not matter.
    return record.status == "ok", sum(plugin.revision for plugin in record.plugins), record.id


def distinguishing_names(groups: Sequence[RecordGroup]) -> list[str]:
    """Return a name for each group from the fields that differ; empty for a single group."""
    from ltbench.technique import written

    if len(groups) < 2:
        return [""] * len(groups)
    columns = [
        [(group.protocol, group.dataset, group.profile, group.model)[i] for group in groups] for i in (1, 2, 3, 0)
    ]
    keys = sorted({key for group in groups for key in group.recipe})
    columns += [
        [f"{key}={written(group.recipe[key])}" if key in group.recipe else "" for group in groups] for key in keys
    ]
    differing = [column for column in columns if len(set(column)) > 1]
    return [", ".join(filter(None, (column[i] for column in differing))) for i in range(len(groups))]


def matching_groups(settings: SettingFilter, groups: Sequence[RecordGroup]) -> list[tuple[RecordGroup, str]]:
    """Return the groups that `settings` matches, each with its distinguishing name."""
    named = zip(groups, distinguishing_names(groups), strict=True)
    return [(group, name) for group, name in named if group.matches(settings)]
