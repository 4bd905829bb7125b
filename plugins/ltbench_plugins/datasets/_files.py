"""Find the image files below a folder, and report the files that are skipped."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import msgspec

from ltbench.errors import DataError
from ltbench.image_files.decode import endings
from ltbench.image_files.names import is_hidden, plain

_HIDDEN = "hidden or system file"


class LeftOut(msgspec.Struct):
    """Files or folders that are skipped for the same reason."""

    reason: str
    number: int
    example: str
    """The first by name, relative to the folder that was searched"""


class Found(msgspec.Struct, frozen=True):
    """The image files below a folder, sorted by path, and what was skipped."""

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
        """Return why a file is skipped; empty for an image."""
        if entry.is_symlink() and entry.is_dir():
            # Not followed: it may be circular, or lead into the other split.
            return "a link to a folder"
        ending = Path(entry.name).suffix.lower()
        if ending not in self.endings:
            return f"of unsupported format ({plain(ending) or 'no extension'})"
        if entry.is_symlink():
            return self.no_link(entry.path)
        return "" if entry.is_file() else "not a regular file"

    def no_link(self, path: str) -> str:
        """Return why a link is skipped; empty for a link to an image that is not counted elsewhere."""
        target = os.path.realpath(path)
        if not Path(target).exists():
            raise DataError(f"{plain(path)} is a broken link", fix="restore its target, or remove the link")
        if not Path(target).is_file():
            return "not a regular file"
        if any(is_inside(target, split) for split in (self.real, *self.splits)):
            return "a link to another file of the data set"
        if target in self.linked:
            return "a second link to the same file"
        self.linked.add(target)
        return ""

    def leave(self, reason: str, path: str) -> None:
        example = plain(os.path.relpath(path, self.folder))
        self.left_out.setdefault(reason, LeftOut(reason, 0, example)).number += 1


def find_images(folder: Path, splits: Sequence[str] = (), linked: set[str] | None = None) -> Found:
    """Return the image files below a folder, sorted by path, and what was skipped.

    splits: real paths of the folders that contain all images; links into them are skipped. linked: real paths of outside
    files that links were followed to; it is updated, and further links to these files are skipped. Links to folders are
    not followed. Raises `DataError` for an unreadable folder and for a broken link.
    """
    search = _Search(folder, splits, endings(), set() if linked is None else linked)
    search.walk(str(folder))
    files = [Path(path) for path in sorted(search.files, key=os.fsencode)]
    return Found(files, [search.left_out[reason] for reason in sorted(search.left_out)])


def subfolders(folder: Path) -> list[Path]:
    """Return the subfolders of a folder, sorted by name, without hidden and system folders."""
    try:
        folders = [path for path in folder.iterdir() if not is_hidden(path.name) and path.is_dir()]
    except OSError as error:
        raise DataError(f"{plain(str(folder))} cannot be read", why=str(error.strerror)) from error
    return sorted(folders, key=lambda path: plain(path.name))


def strays(folder: Path) -> list[LeftOut]:
    """Return what is skipped directly in a folder: images and hidden files."""
    images = [path for path in folder.iterdir() if path.suffix.lower() in endings() and path.is_file()]
    hidden = [path for path in folder.iterdir() if is_hidden(path.name)]
    visible = [path for path in images if path not in hidden]
    return [
        LeftOut(reason, len(paths), min(plain(path.name) for path in paths))
        for reason, paths in ((_HIDDEN, hidden), ("an image outside the class folders", visible))
        if paths
    ]


def is_inside(path: str, folder: str) -> bool:
    """Return whether a real path is a folder or below it."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def one_each(folders: Iterable[Path], what: str) -> dict[str, Path]:
    """Return folders by name. Raises `DataError` if two have the same name, or are the same folder."""
    named: dict[str, Path] = {}
    real: dict[str, Path] = {}
    for path in folders:
        for key, known in ((plain(path.name), named), (os.path.realpath(path), real)):
            if (other := known.setdefault(key, path)) is not path:
                same = "have the same name" if known is named else "are the same folder"
                raise DataError(
                    f"two {what} {same}: {other.name!a} and {path.name!a}",
                    where=plain(str(path.parent)),
                    fix="merge them" if known is named else "remove the link",
                )
    return named
