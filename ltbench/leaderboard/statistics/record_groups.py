"""Groups of comparable records, with access by combination, factor and score."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from ltbench.columns import Column
from ltbench.core.checksums import digest
from ltbench.core.spec import Spec, canonical
from ltbench.leaderboard.statistics.ranking import Ranking, ranking_of
from ltbench.records.comparability import BoardKey, Component, Version, fixed_part
from ltbench.records.record import Record, sort_key
from ltbench.suite.published import SettingFilter
from ltbench.suite.recipe import Recipe
from ltbench.technique import written

Pair = tuple[int, int]
"""Subset seed and training seed."""


class BoardFields(msgspec.Struct, frozen=True, kw_only=True):
    """The fields that comparable records have in common."""

    protocol: str
    dataset: str
    profile: str
    model: str
    recipe: Spec
    fixed: Spec
    """What else their identities have in common, such as the fingerprint of the data set."""
    ranking: Ranking
    """What they are ranked by."""

    @property
    def key(self) -> BoardKey:
        """The `Record.board` of its records."""
        return self.protocol, self.dataset, self.profile, self.model, canonical(self.recipe), canonical(self.fixed)

    @property
    def selected_by(self) -> str:
        """The number of held-out images by which epochs are selected; empty for the last epochs."""
        return _selected_by(self.fixed)

    def matches(self, settings: SettingFilter) -> bool:
        """Return whether `settings` matches these records."""
        own = (self.dataset, self.profile, self.model)
        wanted = (settings.dataset, settings.profile, settings.model)
        if any(want is not None and want != have for want, have in zip(wanted, own, strict=True)):
            return False
        # The recipe of a record leaves out what is at its default.
        defaults = msgspec.to_builtins(Recipe(steps=1))
        return all(self.recipe.get(key, defaults[key]) == value for key, value in settings.recipe.items())


class RecordGroup(BoardFields, frozen=True, kw_only=True):
    """The records of one protocol, data set, profile, model and recipe, one for each cell, in their fixed order."""

    records: list[Record]
    older: int
    """Records left out because one of their techniques has a higher revision in others."""

    @property
    def factors(self) -> list[float]:
        """The imbalance factors of the records, lowest first."""
        return sorted({record.setting.imbalance_factor for record in self.records})

    def data_at(self, factor: float | None) -> Spec:
        """Return the data of the records at a factor, as class counts; empty for all factors together."""
        found = (record.data for record in self.records if record.setting.imbalance_factor == factor)
        return next((data for data in found if data), {})

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


def group_records(records: Iterable[Record], metric: str = "", declared: Iterable[Column] = ()) -> list[RecordGroup]:
    """Group comparable records, in the order in which a page shows them.

    metric: what they are ranked by, by default what fits their test split; declared: the columns of metrics.
    """
    declared = tuple(declared)
    groups: dict[BoardKey, list[Record]] = {}
    for record in sorted(records, key=sort_key):
        groups.setdefault(record.board, []).append(record)
    result = []
    for (protocol, dataset, profile, model, _, _), group in groups.items():
        current = newest(group)
        first = group[0]
        result.append(
            RecordGroup(
                protocol=protocol, dataset=dataset, profile=profile, model=model, recipe=first.recipe,
                fixed=fixed_part(first.spec, first.fits), ranking=ranking_of(current, metric, declared),
                records=current, older=len(group) - len(current),
            )
        )  # fmt: skip
    return result


def newest(records: list[Record]) -> list[Record]:
    """Return the newest record of each slot, in their fixed order: that with the highest revisions.

    A record whose technique has a higher revision in another one is left out, also where it is the only one of its
    slot: numbers of two revisions are not compared, neither between rows nor between runs of one row.
    """
    best: dict[tuple[object, ...], Record] = {}
    for record in records:
        best[record.slot] = max(best.get(record.slot, record), record, key=_version)
    latest: dict[Component, Version] = {}
    for record in best.values():
        # A failure hides no numbers.
        for component, version in record.components.items() if record.status == "ok" else ():
            latest[component] = max(latest.get(component, version), version)
    current = (
        record
        for record in best.values()
        if all(version >= latest.get(component, version) for component, version in record.components.items())
    )
    return sorted(current, key=sort_key)


def _version(record: Record) -> tuple[object, ...]:
    # A failure never hides numbers. The id breaks ties, so that the order of the records does not matter.
    revisions = sum(revision for revision, _ in record.components.values())
    return record.status == "ok", revisions, sum(plugin.revision for plugin in record.plugins), record.id


def distinguishing_names(groups: Sequence[RecordGroup]) -> list[str]:
    """Return a name for each group from the fields that differ; empty for a single group."""
    keys = sorted({key for group in groups for key in group.recipe})
    rows: list[tuple[str, ...]] = []
    for group in groups:
        recipe = (f"{key}={written(group.recipe[key])}" if key in group.recipe else "" for key in keys)
        rows.append((group.dataset, group.profile, group.model, group.protocol, *recipe))
    # Digests say little to a reader: only where nothing else tells the groups apart.
    for word in range(4):
        if len(set(rows)) < len(rows):
            rows = [(*row, _fixed_words(group.fixed)[word]) for row, group in zip(rows, groups, strict=True)]
    differing = [i for i, column in enumerate(zip(*rows, strict=True)) if len(set(column)) > 1]
    return [", ".join(filter(None, (row[i] for i in differing))) for row in rows]


def _fixed_words(fixed: Spec) -> tuple[str, str, str, str]:
    """Return the data, what is held out, the epoch, and whatever else is fixed, in words that differ where they differ."""
    data = fixed.get("data", {})
    fingerprint = str(data.get("fingerprint", ""))
    others = {key: value for key, value in fixed.items() if key != "selection"}
    selected = _selected_by(fixed)
    rest = {key: value for key, value in data.items() if key not in ("fingerprint", "held_out")}
    return (
        f"images {fingerprint[:8]}" if fingerprint else "",
        _held_out_words(data.get("held_out", 0.0)),
        f"epoch with the best {selected}" if selected else "last epoch",
        f"data set and profile {digest(canonical({**others, 'data': rest}), 8)}",
    )


def _selected_by(fixed: Spec) -> str:
    return str(fixed.get("selection", {}).get("number", ""))


def _held_out_words(held_out: float | str) -> str:
    if isinstance(held_out, str):
        return "validation split held out"
    return f"{written(100 * held_out)} % held out" if held_out else "nothing held out"


def titles(groups: Sequence[BoardFields]) -> list[str]:
    """Return the heading of each group: data set, profile and model, and whatever else differs: images, held-out part, recipe."""
    result = []
    for group in groups:
        rivals = zip(*(_fixed_words(one.fixed) for one in groups if one.key[:-1] == group.key[:-1]), strict=True)
        words = [word for word, others in zip(_fixed_words(group.fixed), rivals, strict=True) if len(set(others)) > 1]
        result.append(", ".join([group.dataset, f"profile {group.profile}", group.model, *words]))
    return [
        ", ".join([title, *_recipe_words(group, _same(title, groups, result))])
        for title, group in zip(result, groups, strict=True)
    ]


def _same(title: str, groups: Sequence[BoardFields], named: Sequence[str]) -> list[BoardFields]:
    return [group for group, name in zip(groups, named, strict=True) if name == title]


def _recipe_words(group: BoardFields, rivals: Sequence[BoardFields]) -> list[str]:
    """Return the fields of the recipe, and the protocol, in which a group differs from its rivals."""
    keys = sorted({key for one in rivals for key in one.recipe})
    differing = [key for key in keys if len({canonical({"": one.recipe.get(key)}) for one in rivals}) > 1]
    words = [f"{key}={written(group.recipe[key])}" for key in differing if key in group.recipe]
    return [*words, *([f"protocol {group.protocol}"] if len({one.protocol for one in rivals}) > 1 else [])]


def images_of(groups: Sequence[BoardFields]) -> dict[str, set[str]]:
    """Return data set -> its images in the groups, in words."""
    images: dict[str, set[str]] = {}
    for group in groups:
        images.setdefault(group.dataset, set()).add(_fixed_words(group.fixed)[0])
    return images


def other_images(groups: Sequence[BoardFields]) -> list[str]:
    """Return the data sets that had other images in some groups."""
    return sorted(dataset for dataset, found in images_of(groups).items() if len(found) > 1)


def matching_groups(settings: SettingFilter, groups: Sequence[RecordGroup]) -> list[tuple[RecordGroup, str]]:
    """Return the groups that `settings` matches, each with its distinguishing name."""
    named = zip(groups, distinguishing_names(groups), strict=True)
    return [(group, name) for group, name in named if group.matches(settings)]
