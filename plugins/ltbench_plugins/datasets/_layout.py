"""Find the folders of splits and classes, list their images, and note anything unusual."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from ltbench.errors import DataError
from ltbench.image_files.names import listed, plain
from ltbench_plugins.datasets._files import find_images, is_inside, one_each, real_paths, strays, subfolders
from ltbench_plugins.datasets._listing import Item, Skipped


def split_folders(children: Sequence[Path], names: Sequence[str]) -> tuple[list[Path], list[Path]]:
    """Return the folders with one of the names, ignoring case: those with subfolders, and those without.

    Both are in the order of the names. A folder without subfolders may be a class of that name.
    """
    found = [path for name in names for path in children if path.name.casefold() == name]
    flat = [path for path in found if not subfolders(path)]
    return [path for path in found if path not in flat], flat


def check_names(split: Sequence[Path], folder: Path) -> None:
    """Raise `DataError` if the names of two folders differ only in case."""
    for first, second in pairwise(split):
        if first.name.casefold() == second.name.casefold():
            raise DataError(
                f"{plain(str(folder))} has both {first.name}/ and {second.name}/", fix="remove or rename one of them"
            )


def unused(children: Sequence[Path], used: Collection[Path]) -> list[str]:
    """Return a note on folders that are not read."""
    others = [f"{plain(path.name)}/" for path in children if path not in used]
    read = " and ".join(f"{plain(path.name)}/" for path in used)
    return [f"not read (next to {read}): {listed(others)}"] if others and read else []


def wrapped(folder: Path) -> Path | None:
    """Follow a chain of single subfolders to the first folder with several; None if there is no chain."""
    inner = folder
    while len(children := subfolders(inner)) == 1 and not children[0].is_symlink():
        inner = children[0]
    return inner if children and inner != folder else None


def class_folders(split: Path, splits: Sequence[str]) -> dict[str, Path]:
    """Return the folders of the classes by name. Raises `DataError` if two have the same name, or one is a bad link."""
    folders = subfolders(split)
    for path in folders:
        if path.is_symlink() and any(
            is_inside(real, one) or is_inside(one, real) for real in [os.path.realpath(path)] for one in splits
        ):
            raise DataError(
                f"{plain(str(path))} is a link to another folder of the data set", fix="remove it, or copy the images"
            )
    return one_each(folders, "class folders")


def training_classes(split: Path, splits: Sequence[str]) -> dict[str, Path]:
    """Return the class folders of the training split. Raises `DataError` if there are fewer than two."""
    classes = class_folders(split, splits)
    if not classes:
        raise DataError(f"{plain(str(split))} has no folders; expected one for each class")
    if len(classes) == 1:
        ((name, path),) = classes.items()
        inside = f"; or move the folders in {name}/ up, if they are the classes" if subfolders(path) else ""
        raise DataError(
            f"{plain(str(split))} has one class, '{name}'",
            why="a classifier needs at least two",
            fix=f"put the images of each class into a folder of its own{inside}",
        )
    return classes


def with_linked(splits: Sequence[str], *classes: Mapping[str, Path]) -> list[str]:
    """Return the real paths of all folders with images: the splits, and the targets of linked class folders.

    Raises `DataError` if a class folder is the same as another one, or inside it, so that images would count twice.
    """
    # With a trailing separator, a folder is sorted directly before its subfolders.
    folders = (path for split in classes for path in split.values())
    real = sorted((target.rstrip(os.sep) + os.sep, path) for path, target in real_paths(folders))
    for (outer, first), (inner, second) in pairwise(real):
        if inner.startswith(outer):
            how = "are the same folder" if inner == outer else f"share images: the second is inside {plain(outer)}"
            raise DataError(
                f"two class folders {how}", why=f"{plain(str(first))} and {plain(str(second))}",
                fix="remove one of the links, or copy the images",
            )  # fmt: skip
    return [*splits, *(folder.rstrip(os.sep) for folder, path in real if path.is_symlink())]


def class_images(
    classes: Mapping[str, Path], names: Sequence[str], folder: Path, splits: Sequence[str], linked: set[str],
    skipped: list[Skipped], *, required: bool = True,
) -> list[Item]:  # fmt: skip
    """Return the images of the classes in the order of labels; append what is skipped to `skipped`.

    splits, linked: as for `find_images`; pass the same `linked` to all calls, so that no file counts twice.
    required: raise `DataError` for a class without images.
    """
    items: list[Item] = []
    for label, name in enumerate(names):
        if name not in classes:
            continue
        found = find_images(classes[name], splits, linked)
        place = place_of(classes[name], folder)
        skipped += [Skipped(label, place, part) for part in found.left_out]
        if required and not found.files:
            there = "; ".join(f"{part.number} {part.reason}, {part.example}" for part in found.left_out)
            raise DataError(
                f"{plain(str(classes[name]))} has no images",
                why=f"all files there are skipped: {there}" if there else "",
                fix="put images there, or remove the folder",
            )
        items += [Item(file, label) for file in found.files]
    return items


def beside_classes(folder: Path, *splits: Path) -> list[Skipped]:
    """Return what is skipped outside the class folders."""
    return [
        Skipped(None, place_of(place, folder), part)
        for place in dict.fromkeys((folder, *splits))
        for part in strays(place)
    ]


def place_of(path: Path, folder: Path) -> str:
    """Return a folder relative to that of the data set; of one elsewhere only the last two names, as reports travel."""
    return plain(path.relative_to(folder).as_posix() if path.is_relative_to(folder) else "/".join(path.parts[-2:]))


def alike(names: Sequence[str]) -> list[str]:
    """Return a note on class names that differ only in case."""
    folded: dict[str, list[str]] = {}
    for name in names:
        folded.setdefault(name.casefold(), []).append(name)
    alike = [" and ".join(f"'{name}'" for name in same) for same in folded.values() if len(same) > 1]
    return [f"class names that differ only in case: {listed(alike)}"] if alike else []


def nested(items: Sequence[Item], base: Path) -> list[str]:
    """Return a note if all images are in subfolders of the class folders, which may be the classes."""
    if all(len(Path(item.path).relative_to(base).parts) > 2 for item in items):
        first = plain(Path(items[0].path).relative_to(base).as_posix())
        return [f"all images are in subfolders of the class folders, which may be the classes: {first}"]
    return []
