"""Any images that a list names with their labels."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from ltbench import Dataset, Meta, hookimpl
from ltbench.errors import DataError, ParameterError, nearest
from ltbench.image_files.decode import endings
from ltbench.image_files.names import in_order, listed, plain
from ltbench_plugins.datasets._files import LeftOut
from ltbench_plugins.datasets._folders import find, or_other_root
from ltbench_plugins.datasets._listing import Item, Listing, Skipped
from ltbench_plugins.datasets._own import ARCHIVES, OwnImages
from ltbench_plugins.datasets._tables import Row, Table, read_table


class ImageList(OwnImages, frozen=True):
    """Images that a list names with their labels: CSV, TSV, Parquet, JSON lines, or lines of a path and a label.

    `path` is the list. A table has a column of paths and one of labels, known by usual names (path, file, image; label,
    class, category) or given as `image_column` and `label_column`; a column split (train, val, test) and a column group
    (patient, location) are used if they are there. Other files have a path and a label on each line, as the lists of
    ImageNet-LT. Paths are relative to `images`, or to the folder of the list. Without a split in the list, the test set
    is a second list, `test`; or is drawn by `test_fraction` or `folds`, as for `image_folder`.
    Classes are numbered in the order of their numbers if all labels are integers, else of their names; `classes` is a
    file with the name of each class on a line: labels are these names or the numbers of the lines from 0, and classes
    are in the order of the lines. Rows without a label, repeated rows, and files that cannot be read are skipped and
    listed (`ltbench data`). Images are read as by `image_folder`.
    Source: none; lines of a path and a label are the format of Liu et al., "Large-Scale Long-Tailed Recognition in an Open
    World", CVPR 2019, for ImageNet-LT.
    """

    name = "image_list"

    path: Annotated[str, Meta(description="the list, absolute or relative to the data root")] = ""
    test: Annotated[str, Meta(description="list of the test images, absolute or relative to the data root")] = ""
    images: Annotated[
        str,
        Meta(description="folder that paths are relative to, absolute or relative to the data root; that of the list"),
    ] = ""
    classes: Annotated[str, Meta(description="file with the name of each class on a line, as path")] = ""
    image_column: Annotated[str, Meta(description="column of paths; empty: known by its name")] = ""
    label_column: Annotated[str, Meta(description="column of labels; empty: known by its name")] = ""
    split_column: Annotated[str, Meta(description="column of train, val or test; empty: known by its name")] = ""
    group_column: Annotated[str, Meta(description="column of groups; empty: known by its name")] = ""

    def check(self) -> None:
        super().check()
        if self.test and (self.is_divided or self.split_column):
            raise ParameterError("image_list has a list of test images and another split", fix="leave one of them out")
        if self.groups and self.group_column:
            raise ParameterError("image_list has both groups and group_column", fix="leave one of them out")

    @classmethod
    def reads(cls, path: Path) -> bool:
        return path.is_file() and path.suffix.lower() not in {*ARCHIVES, *endings()}

    def listing(self, root: Path) -> Listing:
        file = self._file(root, self.path, "path")
        table = read_table(file, self._named())
        folder = self._folder(root, self.images, "images", "the images") if self.images else file.parent
        rows = {"train": table.rows}
        if self.test:
            if any(row.split for row in table.rows):
                raise DataError(
                    f"{plain(str(file))} has a column of splits, and test names another list", fix=self._with(test="")
                )
            rows["test"] = read_table(self._file(root, self.test, "test"), self._named()).rows
        elif any(row.split for row in table.rows):
            rows = {}
            for row in table.rows:
                rows.setdefault(row.split.casefold(), []).append(row)
        skipped: list[Skipped] = []
        if unsplit := rows.pop("", []):
            part = LeftOut("a row without a split", len(unsplit), unsplit[0].image)
            skipped.append(Skipped(None, plain(file.name), part))
        rows = {split: _labelled(of, plain(file.name), skipped) for split, of in self._splits(rows, file).items()}
        names, order, label_of = self._classes(rows, root, file)
        find_file = _Finder(folder)
        items: dict[str, Sequence[Item]] = {
            split: [Item(find_file(row.image), label_of[row.label], row.group) for row in of]
            for split, of in rows.items()
        }
        return self._listed(folder, items, names, order, _column_notes(table), skipped)

    def _named(self) -> dict[str, str]:
        given = {
            "image": self.image_column,
            "label": self.label_column,
            "split": self.split_column,
            "group": self.group_column,
        }
        return {use: column for use, column in given.items() if column}

    def _file(self, root: Path, path: str, what: str) -> Path:
        if not path:
            raise DataError(f"{self.name} has no {what}", fix=f"{self.name}[{what}=FILE]")
        file = find(root, path)
        if file.is_dir():
            raise DataError(
                f"{plain(str(file))} is a folder, not a list",
                fix=f"{self.name}[{what}=FILE]; or image_folder[path={plain(path)}] for a folder of class folders",
            )
        if not file.is_file():
            raise DataError(f"there is no file {plain(str(file))}", fix="put the list there" + or_other_root(path))
        return file

    def _classes(
        self, rows: dict[str, list[Row]], root: Path, file: Path
    ) -> tuple[list[str], str, dict[str, int]]:  # fmt: skip
        """Return the names of the classes, how they are ordered, and the class of each label."""
        labels = {split: {row.label for row in of} for split, of in rows.items()}
        training = labels.get("train", labels.get("", set()))
        names, order = in_order(training)
        label_of = {name: label for label, name in enumerate(names)}
        if self.classes:
            named = self._file(root, self.classes, "classes")
            names, label_of = _named_classes(named, set().union(*labels.values()))
            order = f"of the lines of {plain(named.name)}"
        elif names and order == "of their numbers" and names != [str(label) for label in range(len(names))]:
            order += f": labels {names[0]} to {names[-1]} are classes 0 to {len(names) - 1}"
        for split, of in labels.items():
            if unknown := in_order(of - label_of.keys())[0]:
                near = nearest(unknown[0], names, n=1)
                raise DataError(
                    f"no training image is of class {listed([repr(name) for name in unknown])}, which {split} images have",
                    where=plain(str(file)),
                    fix=(f"is it '{near[0]}'? " if near else "") + "a class needs images for training",
                )
        if len(names) < 2:
            one = f"one class, '{names[0]}'" if names else "no rows with a path and a label"
            raise DataError(
                f"{plain(str(file))} has {one}", why="a classifier needs at least two", fix="rows of other classes"
            )
        return names, order, label_of


class _Finder:
    """Finds the files that a list names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.by_stem: dict[Path, dict[str, Path]] = {}
        """Folder -> name without extension -> image"""

    def __call__(self, text: str) -> Path:
        """Return the file of a path, which may be that of Windows, in another Unicode form, or lack its extension."""
        path = self.folder / os.path.normpath(text)
        if not text.isascii() or "\\" in text:
            slashed = text.replace("\\", "/")
            others = [
                slashed,
                *(unicodedata.normalize(form, one) for one in (text, slashed) for form in ("NFC", "NFD")),
            ]
            spelled = (self.folder / os.path.normpath(one) for one in (text, *others))
            path = next((one for one in spelled if _is_file(one)), path)
        if path.suffix.lower() in endings() or _is_file(path):
            return path
        if path.parent not in self.by_stem:
            found = sorted(path.parent.iterdir(), reverse=True) if path.parent.is_dir() else []
            self.by_stem[path.parent] = {one.stem: one for one in found if one.suffix.lower() in endings()}
        return self.by_stem[path.parent].get(path.name, path)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # such as a name that is too long
        return False


def _labelled(rows: Sequence[Row], place: str, skipped: list[Skipped]) -> list[Row]:
    """Return the rows with a path and a label, each once; append the others to `skipped`."""
    kept: dict[tuple[str, str], Row] = {}
    left_out: dict[str, LeftOut] = {}
    for row in rows:
        reason = "a row without a path" if not row.image else "a row without a label" if not row.label else ""
        if not reason and kept.setdefault((row.image, row.label), row) is not row:
            reason = "a repeated row"
        if reason:
            left_out.setdefault(reason, LeftOut(reason, 0, row.image or row.label or "an empty row")).number += 1
    skipped += [Skipped(None, place, part) for part in left_out.values()]
    return list(kept.values())


def _named_classes(file: Path, labels: set[str]) -> tuple[list[str], dict[str, int]]:
    """Return the names in a file of classes, and the class of each label: its name, or the number of its line from 0."""
    try:
        names = [plain(line.strip()) for line in file.read_text(encoding="utf-8-sig").split("\n") if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"the classes {plain(str(file))} cannot be read", why=str(error), fix="a name on each line"
        ) from None
    if repeated := [name for name, number in Counter(names).items() if number > 1]:
        raise DataError(f"{plain(str(file))} names the class '{repeated[0]}' twice", fix="a name on each line")
    by_name = {name: label for label, name in enumerate(names)}
    if labels <= by_name.keys():
        return names, by_name
    by_number = {str(label): label for label in range(len(names))}
    if labels <= by_number.keys():
        return names, by_number
    unknown = in_order(labels - by_name.keys() - by_number.keys())[0] or in_order(labels - by_name.keys())[0]
    near = nearest(unknown[0], names, n=1)
    raise DataError(
        f"{plain(str(file))} has no class '{unknown[0]}'",
        why=f"it has {len(names)} names; labels are names, or numbers from 0 to {len(names) - 1}",
        fix=f"is it '{near[0]}'?" if near else "a line for each class",
    )


def _column_notes(table: Table) -> list[str]:
    """Return notes on the columns that were used, and on others that could be meant."""
    used = [f"{use} from '{column}'" for use, column in table.columns.items()]
    others = [f"'{name}' ({use}_column={name})" for use, names in table.others.items() for name in names]
    return ([f"columns: {', '.join(used)}"] if used else []) + (
        [f"columns not used: {', '.join(others)}"] if others else []
    )


@hookimpl
def ltbench_datasets() -> list[type[Dataset]]:
    return [ImageList]
