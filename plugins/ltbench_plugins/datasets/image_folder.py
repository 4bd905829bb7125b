"""Any folder of images with a subfolder for each class."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Annotated

from ltbench import Dataset, Meta, hookimpl
from ltbench.errors import DataError, NoTestImages, ParameterError, nearest
from ltbench.image_files.names import in_order, plain
from ltbench_plugins.datasets._files import is_inside, subfolders
from ltbench_plugins.datasets._layout import (
    alike,
    beside_classes,
    check_names,
    class_folders,
    class_images,
    nested,
    split_folders,
    training_classes,
    unused,
    with_linked,
    wrapped,
)
from ltbench_plugins.datasets._listing import Item, Listing, Skipped
from ltbench_plugins.datasets._own import TEST_NAMES, TRAIN_NAMES, VALID_NAMES, OwnImages, is_of_datasets

_LAYOUT = "CLASS/IMAGE, or train/CLASS/IMAGE and test/CLASS/IMAGE"


class ImageFolder(OwnImages, frozen=True):
    """Images in a folder for each class, the layout of torchvision's ImageFolder, cropped square and resized.

    `path` has either train/ (or training/) and test/ (or testing/, val/, valid/, validation/), each with a folder per
    class; with test/ and val/, the latter is the validation split, which a suite holds out on request; or only class
    folders, in `path` or in train/. In the second case the test set is the folder `test`; or `test_fraction` of the
    images of each class; or the fold `fold` of `folds`. The last two draw by content: copies stay on one side, and
    names and places of files do not matter. `groups` keeps the images of a group (a patient, a place) on the same side,
    too: a CSV or TSV file in `path` with the columns path and group, or a regular expression whose first capture group
    or match in the path of a file is its group. Classes are numbered in the order of their names, or of their numbers if
    all names are integers. The recall of a class without test images is undefined. A relative `path` is relative to
    the data root, so that the data set has the same name on every machine.

    All formats that Pillow decodes are read: the first of several frames, rotated by its EXIF orientation. Transparent
    parts are composited on grey of level `background`; 16-bit grey is scaled so that `white` (65535) becomes 255. Hidden
    files, links to folders, links into the other split and unreadable files are skipped and listed (`ltbench data`); with
    `strict` an unreadable file is an error. On a command line all images are kept (profile `natural`) unless another
    profile or an imbalance factor is given.
    Source: none; the layout is that of torchvision.datasets.ImageFolder.
    """

    name = "image_folder"
    revision = 3

    test: Annotated[
        str, Meta(description="folder with the test images of each class, absolute or relative to the data root")
    ] = ""

    def check(self) -> None:
        super().check()
        if self.test and self.is_divided:
            raise ParameterError(
                f"image_folder has both test = {self.test} and a split by {'folds' if self.folds else 'test_fraction'}",
                fix="leave one of them out",
            )

    @classmethod
    def reads(cls, path: Path) -> bool:
        return path.is_dir() and not is_of_datasets(path)

    def listing(self, root: Path) -> Listing:
        folder = self._folder(root, self.path, "path", _LAYOUT)
        if is_of_datasets(folder):
            raise DataError(
                f"{plain(str(folder))} is a data set of Hugging Face", fix=f"hf_folder[path={plain(self.path)}]"
            )
        children = subfolders(folder)
        (train, flat_train), (tests, flat_tests) = (
            split_folders(children, names) for names in (TRAIN_NAMES, TEST_NAMES)
        )
        for split in (train, tests):
            check_names(split, folder)
        flat: list[Path] = []
        if not train and (tests or flat_tests) and not self.test:
            flat = flat_train
        elif train and not tests and not self.is_divided and not self.test:
            flat = flat_tests
        if flat:
            raise DataError(
                f"{plain(str(flat[0]))} has no folders; expected one for each class",
                fix=f"{flat[0].name}/CLASS/IMAGE" + f", or {self._with(test_fraction=0.2)}" * bool(train),
            )
        if train and tests:
            if self.is_divided or self.test:
                how = "test = " + self.test if self.test else "folds" if self.folds else "test_fraction"
                raise DataError(
                    f"{plain(str(folder))} has {train[0].name}/ and {tests[0].name}/, and {how} would split it again",
                    fix=f"{self.undivided(test='')}, or the path of one of the two folders",
                )
            is_tested = tests[0].name.casefold() not in VALID_NAMES
            valid = [path for path in tests if path.name.casefold() in VALID_NAMES][:1] if is_tested else []
            used = (train[0], tests[0], *valid)
            return self._given(folder, *used, notes=unused(children, used))
        if tests and not self.test:
            part = {} if self.is_divided else {"test_fraction": 0.2}
            raise DataError(
                f"{plain(str(folder))} has {tests[0].name}/ and no train/",
                fix=f"put train/CLASS/IMAGE there; or split {tests[0].name}/ itself: "
                f"{self._with(path=self._below(tests[0], folder), **part)}",
            )
        if not train and (inner := wrapped(folder)):
            raise DataError(
                f"{plain(str(folder))} has one folder, {plain(children[0].name)}/, and that holds the data set",
                fix=self._with(path=self._below(inner, folder)),
            )
        base = train[0] if train else folder
        notes = unused(children, train) if train else []
        if self.test:
            return self._given(folder, base, self._folder(root, self.test, "test", "CLASS/IMAGE"), notes=notes)
        if self.is_divided:
            return self._split(folder, base, notes)
        raise NoTestImages(
            f"{plain(str(folder))} has no {'test' if train else 'train'}/",
            fix=f"put train/CLASS/IMAGE and test/CLASS/IMAGE there, or split it: {self._with(test_fraction=0.2)}",
        )

    def _below(self, inner: Path, folder: Path) -> str:
        return str(Path(self.path) / inner.relative_to(folder))

    def _given(self, folder: Path, train: Path, *others: Path, notes: list[str]) -> Listing:
        """Return the files of the given folders. others: the test split, and the validation split if there is one."""
        splits = [os.path.realpath(split) for split in (train, *others)]
        for (first, one), (second, other) in combinations(zip((train, *others), splits, strict=True), 2):
            if is_inside(one, other) or is_inside(other, one):
                how = "are the same folder" if one == other else "share images: one is inside the other"
                raise DataError(
                    f"{first.name}/ and {second.name}/ {how}",
                    where=plain(str(folder)),
                    fix="remove the link" if one == other else "move the inner folder out of the other",
                )
        classes = training_classes(train, splits)
        names, order = in_order(classes)
        by_split = [class_folders(split, splits) for split in others]
        for split, found in zip(others, by_split, strict=True):
            if unknown := [name for name in found if name not in classes]:
                raise _unknown_classes(unknown, names, train, split, folder)
        skipped = beside_classes(folder, train, *others)
        splits, linked = with_linked(splits, classes, *by_split), set[str]()
        train_items = class_images(classes, names, folder, splits, linked, skipped)
        test, *valid = (class_images(of, names, folder, splits, linked, skipped, required=False) for of in by_split)
        if not test:
            raise DataError(
                f"{plain(str(others[0]))} has no test images", fix=f"put images into {others[0].name}/CLASS/"
            )
        return Listing(
            folder=folder,
            classes=tuple(names),
            order=order,
            train=train_items,
            test=test,
            valid=valid[0] if valid else (),
            skipped=skipped,
            notes=[*notes, *alike(names), *nested(train_items, train)],
        )

    def _split(self, folder: Path, base: Path, notes: list[str]) -> Listing:
        splits = [os.path.realpath(base)]
        classes = training_classes(base, splits)
        names, order = in_order(classes)
        skipped: list[Skipped] = beside_classes(folder, base)
        items: Sequence[Item] = class_images(classes, names, folder, with_linked(splits, classes), set(), skipped)
        return Listing(
            folder=folder,
            classes=tuple(names),
            order=order,
            undivided=self._grouped(items, folder),
            division=self.division,
            skipped=skipped,
            notes=[*notes, *alike(names), *nested(items, base)],
        )


def _unknown_classes(unknown: Sequence[str], names: Sequence[str], train: Path, split: Path, folder: Path) -> DataError:
    """Return the error for classes of a split that have no training images."""
    near = nearest(unknown[0], names, n=1)
    more = f", nor {len(unknown) - 1} others" if len(unknown) > 2 else f", nor '{unknown[1]}'" if unknown[1:] else ""
    return DataError(
        f"{plain(str(train))} has no class '{unknown[0]}', which {split.name}/ has{more}",
        where=plain(str(folder)),
        fix=(f"is it '{near[0]}' in {train.name}/? " if near else "") + "a class needs images for training",
    )


@hookimpl
def ltbench_datasets() -> list[type[Dataset]]:
    return [ImageFolder]
