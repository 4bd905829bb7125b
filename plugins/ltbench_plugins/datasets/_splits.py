"""The rows of readable files in each split, and how they are divided if no folder says it."""

from __future__ import annotations

from collections.abc import Sequence

from ltbench.errors import DataError
from ltbench.image_files.decode import Reading
from ltbench.image_files.names import listed, plain
from ltbench_plugins.datasets._census import untested
from ltbench_plugins.datasets._division import Division, units
from ltbench_plugins.datasets._listing import Item, Listing
from ltbench_plugins.datasets._remarks import images as in_words


def rows_by_split(
    listing: Listing, items: Sequence[Item], readings: Sequence[Reading]
) -> tuple[dict[str, list[int]], list[str]]:
    """Return the rows of readable files by split, and notes on their division."""
    rows: dict[str, list[int]] = {}
    notes: list[str] = []
    start = 0
    for split, of in listing.splits.items():
        rows[split] = [row for row in range(start, start + len(of)) if not readings[row].problem]
        start += len(of)
        if split in {"", "train"}:
            _check_classes(listing, of, readings[start - len(of) : start])
    if listing.division is not None:
        rows, notes = _divided(listing.division, rows[""], items, readings)
    if not rows["test"]:
        few = "no class has two images that a split can separate (copies and groups stay together)"
        raise DataError(
            f"{plain(str(listing.folder))} has no test images that can be read",
            why="" if listing.division is None else few,
            fix="put images into test/CLASS/"
            if listing.division is None
            else "more images, or test images of their own",
        )
    tested = {items[row].label for row in rows["test"]}
    return rows, [*notes, *untested(listing.classes, sorted(set(range(len(listing.classes))) - tested))]


def units_of(rows: Sequence[int], items: Sequence[Item], readings: Sequence[Reading]) -> dict[int, str]:
    """Return the unit of each row: what its image stays together with (`ltbench_plugins.datasets._division`)."""
    found = units([readings[row].digest for row in rows], [items[row].group for row in rows])
    return dict(zip(rows, found, strict=True))


def _check_classes(listing: Listing, items: Sequence[Item], readings: Sequence[Reading]) -> None:
    """Raise `DataError` if a class has no training image that can be read."""
    found = {item.label for item, one in zip(items, readings, strict=True) if not one.problem}
    if not (empty := [label for label in range(len(listing.classes)) if label not in found]):
        return
    first = next((pair for pair in zip(items, readings, strict=True) if pair[0].label == empty[0]), None)
    raise DataError(
        f"no training image of class {listed([repr(listing.classes[label]) for label in empty])} can be read",
        where=plain(str(listing.folder)),
        why="there is none" if first is None else f"{plain(str(first[0].path))}: {first[1].problem}",
        fix="repair the files, or remove the class",
    )


def _divided(
    division: Division, rows: Sequence[int], items: Sequence[Item], readings: Sequence[Reading]
) -> tuple[dict[str, list[int]], list[str]]:
    """Return training and test rows, and notes on what stays together."""
    if division.is_whole:
        note = "all images are for training and are the test images, too, so accuracies say nothing about other images"
        return {"train": list(rows), "test": list(rows)}, [note]
    unit_of = units([readings[row].digest for row in rows], [items[row].group for row in rows])
    members: dict[str, list[int]] = {}
    for row, unit in zip(rows, unit_of, strict=True):
        members.setdefault(unit, []).append(items[row].label)
    drawn, always = division.drawn(members)
    divided = {
        split: [row for row, unit in zip(rows, unit_of, strict=True) if (unit in drawn) == (split == "test")]
        for split in ("train", "test")
    }
    notes = []
    if division.folds:
        notes.append(f"fold {division.fold} of {division.folds} is the test set")
        if number := sum(len(members[unit]) for unit in always):
            notes.append(
                f"{in_words(number)} for training in every fold, because a class has no others (copies and groups count as one)"
            )
    if groups := len({items[row].group for row in rows} - {""}):
        tested = len({items[row].group for row in divided["test"]} - {""})
        notes.append(f"groups: {groups - tested:,} for training, {tested:,} for testing")
    if copies := len(rows) - len({readings[row].digest for row in rows}):
        notes.append(f"copies of other images: {copies:,}, on the same side of the split as these")
    return divided, notes
