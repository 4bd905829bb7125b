"""The folders of splits and classes: which there are, what is in them, and what is odd about them."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from ltbench.errors import DataError
from ltbench_plugins.datasets._files import find_images, is_inside, one_each, strays, subfolders
from ltbench_plugins.datasets._folders import Item, Skipped
from ltbench_plugins.datasets._names import plain

_LISTED = 5


def split_folders(children: Sequence[Path], names: Sequence[str]) -> tuple[list[Path], list[Path]]:
    """Return the folders with one of the names, in any case and in the order of the names: with folders, and without.

    One without folders may be a class of that name.
    """
    found = [path for name in names for path in children if path.name.casefold() == name]
    flat = [path for path in found if not subfolders(path)]
    return [path for path in found if path not in flat], flat


def check_names(split: Sequence[Path], folder: Path) -> None:
    """Raise `DataError` where two folders differ only in the case of their names."""
    for first, second in pairwise(split):
        if first.name.casefold() == second.name.casefold():
            raise DataError(
                f"{plain(str(folder))} has both {first.name}/ and {second.name}/", fix="remove or rename one of them"
            )


def unused(children: Sequence[Path], used: Collection[Path]) -> list[str]:
    """Return a remark on the folders beside those that are read."""
    others = [f"{plain(path.name)}/" for path in children if path not in used]
    read = " and ".join(f"{plain(path.name)}/" for path in used)
    return [f"not read, beside {read}: {_listed(others)}"] if others and read else []


def wrapped(folder: Path) -> Path | None:
    """Return the folder that a chain of single folders leads to, where that has several; None if there is no chain."""
    inner = folder
    while len(children := subfolders(inner)) == 1 and not children[0].is_symlink():
        inner = children[0]
    return inner if children and inner != folder else None


def class_folders(split: Path, splits: Sequence[str]) -> dict[str, Path]:
    """Return the folders of the classes by name. Raises `DataError` where two have one name, or a link leads astray."""
    folders = subfolders(split)
    for path in folders:
        real = os.path.realpath(path)
        if path.is_symlink() and any(is_inside(real, one) or is_inside(one, real) for one in splits):
            raise DataError(
                f"{plain(str(path))} is a link to another folder of the data set", fix="remove it, or copy the images"
            )
    return one_each(folders, "class folders")


def training_classes(split: Path, splits: Sequence[str]) -> dict[str, Path]:
    """Return the folders of the classes to be trained on. Raises `DataError` where there are fewer than two."""
    classes = class_folders(split, splits)
    if not classes:
        raise DataError(f"{plain(str(split))} has no folders; expected one for each class")
    if len(classes) == 1:
        ((name, path),) = classes.items()
        inside = f"; or move the folders in {name}/ up, if they are the classes" if subfolders(path) else ""
        raise DataError(
            f"{plain(str(split))} has one class, '{name}'",
            why="there is nothing to tell apart",
            fix=f"a folder for each of at least two classes{inside}",
        )
    return classes


def with_linked(splits: Sequence[str], *classes: Mapping[str, Path]) -> list[str]:
    """Return the real paths of all folders that hold images: the splits, and class folders that are links elsewhere.

    Raises `DataError` where images would count twice, because a class folder is, or is inside, another one.
    """
    # With a separator at the end, a folder is sorted right before those inside it.
    real = sorted(
        (os.path.realpath(path).rstrip(os.sep) + os.sep, path) for split in classes for path in split.values()
    )
    for (outer, first), (inner, second) in pairwise(real):
        if inner.startswith(outer):
            how = "are one folder" if inner == outer else f"share images: the second is inside {plain(outer)}"
            raise DataError(
                f"two class folders {how}", why=f"{plain(str(first))} and {plain(str(second))}",
                fix="remove one of the links, or copy the images",
            )  # fmt: skip
    return [*splits, *(folder.rstrip(os.sep) for folder, path in real if path.is_symlink())]


def class_images(
    classes: Mapping[str, Path], names: Sequence[str], folder: Path, splits: Sequence[str], linked: set[str],
    skipped: list[Skipped], *, required: bool = True,
) -> list[Item]:  # fmt: skip
    """Return the images of the classes in order of the labels; add what is left out.

    splits, linked: as `find_images` takes them; the latter is one for all calls, so that no file counts twice.
    required: raise `DataError` for a class without images.
    """
    items: list[Item] = []
    for label, name in enumerate(names):
        if name not in classes:
            continue
        found = find_images(classes[name], splits, linked)
        place = plain(classes[name].relative_to(folder).as_posix())
        skipped += [Skipped(label, place, part) for part in found.left_out]
        if required and not found.files:
            there = "; ".join(f"{part.number} {part.reason}, {part.example}" for part in found.left_out)
            raise DataError(
                f"{plain(str(classes[name]))} has no images",
                why=f"what is there is left out: {there}" if there else "",
                fix="put images there, or remove the folder",
            )
        items += [Item(file, label) for file in found.files]
    return items


def beside_classes(folder: Path, *splits: Path) -> list[Skipped]:
    """Return what is left out beside the folders of the classes."""
    return [
        Skipped(None, plain(place.relative_to(folder).as_posix()), part)
        for place in dict.fromkeys((folder, *splits))
        for part in strays(place)
    ]


def untested(names: Sequence[str], labels: Sequence[int]) -> list[str]:
    """Return a remark on the classes without test images."""
    if not labels:
        return []
    which = _listed([f"'{names[label]}'" for label in labels])
    return [f"no test images, and so no recall: {which}"]


def alike(names: Sequence[str]) -> list[str]:
    """Return a remark on class names that differ only in case."""
    folded: dict[str, list[str]] = {}
    for name in names:
        folded.setdefault(name.casefold(), []).append(name)
    alike = [" and ".join(f"'{name}'" for name in same) for same in folded.values() if len(same) > 1]
    return [f"different classes whose names differ only in case: {_listed(alike)}"] if alike else []


def nested(items: Sequence[Item], base: Path) -> list[str]:
    """Return a remark where every image is in a folder of its class's folder: those may be the classes."""
    if all(len(item.path.relative_to(base).parts) > 2 for item in items):
        first = plain(items[0].path.relative_to(base).as_posix())
        return [f"no class has images of its own, all are in folders below, such as {first}"]
    return []


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
