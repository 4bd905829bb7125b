"""The image files below a folder, and what else is there and is left out."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import msgspec

from ltbench.errors import DataError
from ltbench_plugins.datasets._decode import endings
from ltbench_plugins.datasets._names import is_hidden, plain

_HIDDEN = "hidden, or of the system"


class LeftOut(msgspec.Struct):
    """Files or folders that are left out for one reason."""

    reason: str
    number: int
    example: str
    """The first by name, relative to the folder that was searched"""


class Found(msgspec.Struct, frozen=True):
    """The image files below a folder, sorted by their paths, and what was left out there."""

    files: list[Path]
    left_out: list[LeftOut]


class _Search:
    """A search below one folder."""

    def __init__(self, folder: Path, splits: Sequence[str], endings: Collection[str], linked: set[str]) -> None:
        self.folder, self.splits, self.endings, self.linked = folder, splits, endings, linked
        self.real = os.path.realpath(folder)
        self.files: list[str] = []
        self.left_out: dict[str, LeftOut] = {}

    def walk(self, folder: str) -> None:
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: os.fsencode(entry.name))
        except OSError as error:
            raise DataError(f"{plain(folder)} cannot be read", why=str(error.strerror)) from error
        for entry in entries:
            if is_hidden(entry.name):
                self.leave(_HIDDEN, entry.path)
            elif entry.is_dir(follow_symlinks=False):
                self.walk(entry.path)
            elif reason := self.no_image(entry):
                self.leave(reason, entry.path)
            else:
                self.files.append(entry.path)

    def no_image(self, entry: os.DirEntry[str]) -> str:
        """Return why an entry that is no folder is left out; empty for an image."""
        if entry.is_symlink() and entry.is_dir():
            # Not followed: it may lead in a circle, or into the other split.
            return "a link to a folder"
        ending = Path(entry.name).suffix.lower()
        if ending not in self.endings:
            return f"of no format that is read ({plain(ending) or 'no ending'})"
        if entry.is_symlink():
            return self.no_link(entry.path)
        return "" if entry.is_file() else "no regular file"

    def no_link(self, path: str) -> str:
        """Return why a link is left out; empty for one to an image that is not counted otherwise."""
        target = os.path.realpath(path)
        if not Path(target).exists():
            raise DataError(f"{plain(path)} is a link to nothing", fix="restore its target, or remove the link")
        if not Path(target).is_file():
            return "no regular file"
        if any(is_inside(target, split) for split in (self.real, *self.splits)):
            return "a link to another file of the data set"
        if target in self.linked:
            return "a second link to one file"
        self.linked.add(target)
        return ""

    def leave(self, reason: str, path: str) -> None:
        example = plain(os.path.relpath(path, self.folder))
        self.left_out.setdefault(reason, LeftOut(reason, 0, example)).number += 1


def find_images(folder: Path, splits: Sequence[str] = (), linked: set[str] | None = None) -> Found:
    """Return the image files below a folder, in the order of their paths, and what was left out.

    splits: the real paths of the folders that hold all images; a link into one of them is left out. linked: the real
    paths of files elsewhere that links were followed to, which is added to; another link to one of them is left out.
    Links to folders are not followed. Raises `DataError` for a folder that cannot be read and for a link to nothing.
    """
    search = _Search(folder, splits, endings(), set() if linked is None else linked)
    search.walk(str(folder))
    files = [Path(path) for path in sorted(search.files, key=os.fsencode)]
    return Found(files, [search.left_out[reason] for reason in sorted(search.left_out)])


def subfolders(folder: Path) -> list[Path]:
    """Return the folders in a folder, sorted by name; hidden ones and those of the system are skipped."""
    try:
        folders = [path for path in folder.iterdir() if not is_hidden(path.name) and path.is_dir()]
    except OSError as error:
        raise DataError(f"{plain(str(folder))} cannot be read", why=str(error.strerror)) from error
    return sorted(folders, key=lambda path: plain(path.name))


def strays(folder: Path) -> list[LeftOut]:
    """Return what is left out beside the folders in a folder: images, and what is hidden."""
    images = [path for path in folder.iterdir() if path.suffix.lower() in endings() and path.is_file()]
    hidden = [path for path in folder.iterdir() if is_hidden(path.name)]
    visible = [path for path in images if path not in hidden]
    return [
        LeftOut(reason, len(paths), min(plain(path.name) for path in paths))
        for reason, paths in ((_HIDDEN, hidden), ("an image in no folder of a class", visible))
        if paths
    ]


def is_inside(path: str, folder: str) -> bool:
    """Return whether a real path is a folder or below it."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def one_each(folders: Iterable[Path], what: str) -> dict[str, Path]:
    """Return folders by the text of their names. Raises `DataError` where two have one name, or are one folder."""
    named: dict[str, Path] = {}
    real: dict[str, Path] = {}
    for path in folders:
        for key, known in ((plain(path.name), named), (os.path.realpath(path), real)):
            if (other := known.setdefault(key, path)) is not path:
                same = "have one name" if known is named else "are one folder"
                raise DataError(
                    f"two {what} {same}: {other.name!a} and {path.name!a}",
                    where=plain(str(path.parent)),
                    fix="merge them" if known is named else "remove the link",
                )
    return named
