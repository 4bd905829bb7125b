"""Find the image files below a folder, and report the files that are skipped."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property
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
        self.real: dict[str, str] = {}
        """Cache of real paths of folders that links point into"""
        self.files: list[str] = []
        self.left_out: dict[str, LeftOut] = {}

    @cached_property
    def inside(self) -> set[str]:
        """Real paths of the folders that contain all images."""
        return {os.path.realpath(self.folder), *self.splits}

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
        """Return why a file is skipped; empty for an image, and for what cannot be read but counts as one."""
        mode = _mode(entry.path) if entry.is_symlink() else None
        if mode is not None and stat.S_ISDIR(mode):
            # Not followed: it may be circular, or lead into the other split.
            return "a link to a folder"
        ending = os.path.splitext(entry.name)[1].lower().rstrip(".")  # noqa: PTH122 - `Path` takes far longer
        if ending not in self.endings:
            return f"of unsupported format ({plain(ending) or 'no extension'})"
        if not entry.is_symlink():
            return "" if entry.is_file() else "not a regular file"
        if mode is None:
            return ""  # a broken link
        return self.no_link(entry.path) if stat.S_ISREG(mode) else "not a regular file"

    def no_link(self, path: str) -> str:
        """Return why a link to a file is skipped; empty for a file that is not counted elsewhere."""
        target = self.target(path)
        if self.inside.intersection(_above(target)):
            return "a link to another file of the data set"
        if target in self.linked:
            return "a second link to the same file"
        self.linked.add(target)
        return ""

    def target(self, path: str) -> str:
        """Return the real path of a link. The folder that it points into is resolved once for all links."""
        folder, name = os.path.split(os.path.join(os.path.dirname(path), os.readlink(path)))  # noqa: PTH115, PTH118, PTH120
        if folder not in self.real:
            self.real[folder] = os.path.realpath(folder)
        target = f"{self.real[folder].rstrip(os.sep)}{os.sep}{name}"
        return os.path.realpath(target) if name in {"", ".", ".."} or os.path.islink(target) else target  # noqa: PTH114

    def leave(self, reason: str, path: str) -> None:
        example = plain(os.path.relpath(path, self.folder))
        self.left_out.setdefault(reason, LeftOut(reason, 0, example)).number += 1


def find_images(folder: Path, splits: Sequence[str] = (), linked: set[str] | None = None) -> Found:
    """Return the image files below a folder, sorted by path, and what was skipped.

    splits: real paths of the folders that contain all images; links into them are skipped. linked: real paths of outside
    files that links were followed to; it is updated, and further links to these files are skipped. Links to folders are
    not followed. A broken link counts as a file.
    Raises `DataError` for an unreadable folder.
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
    visible = [path for path in images if not is_hidden(path.name)]
    return [
        LeftOut(reason, len(paths), min(plain(path.name) for path in paths))
        for reason, paths in ((_HIDDEN, hidden), ("an image outside the class folders", visible))
        if paths
    ]


def _mode(path: str) -> int | None:
    """Return the mode of the file that a link points to; None for a broken link."""
    try:
        return os.stat(path).st_mode  # noqa: PTH116 - `Path` takes twice as long
    except OSError:
        return None


def _above(path: str) -> Iterator[str]:
    """Yield a real path and the folders above it."""
    while True:
        yield path
        path, _, name = path.rpartition(os.sep)
        if not name or not path:
            return


def is_inside(path: str, folder: str) -> bool:
    """Return whether a real path is a folder or below it."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def real_paths(folders: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    """Yield folders with their real paths; what is above them is resolved once."""
    above: dict[Path, str] = {}
    for path in folders:
        if path.is_symlink() or path.name == "..":
            yield path, os.path.realpath(path)
            continue
        if path.parent not in above:
            above[path.parent] = os.path.realpath(path.parent).rstrip(os.sep)
        yield path, f"{above[path.parent]}{os.sep}{path.name}"


def one_each(folders: Iterable[Path], what: str) -> dict[str, Path]:
    """Return folders by name. Raises `DataError` if two have the same name, or are the same folder."""
    named: dict[str, Path] = {}
    real: dict[str, Path] = {}
    for path, target in real_paths(folders):
        for key, known in ((plain(path.name), named), (target, real)):
            if (other := known.setdefault(key, path)) is not path:
                same = "have the same name" if known is named else "are the same folder"
                raise DataError(
                    f"two {what} {same}: {other.name!a} and {path.name!a}",
                    where=plain(str(path.parent)),
                    fix="merge them" if known is named else "remove the link",
                )
    return named
