"""Any folder of images with a subfolder for each class."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from ltbench import Dataset, Meta, hookimpl
from ltbench.errors import DataError, ParameterError, nearest
from ltbench.image_files.decode import WHITE, Rules
from ltbench.image_files.names import plain, shuffled
from ltbench_plugins.datasets._files import is_inside, subfolders
from ltbench_plugins.datasets._folders import Folders, Item, Listing, Skipped, find, or_other_root
from ltbench_plugins.datasets._groups import draw_groups, group_of_each, pattern
from ltbench_plugins.datasets._layout import (
    alike,
    beside_classes,
    check_names,
    class_folders,
    class_images,
    nested,
    split_folders,
    training_classes,
    untested,
    unused,
    with_linked,
    wrapped,
)

TRAIN_NAMES = ("train", "training")
VALID_NAMES = ("val", "valid", "validation")
TEST_NAMES = ("test", "testing", *VALID_NAMES)


class ImageFolder(Folders, frozen=True):
    """Images in a folder for each class, the layout of torchvision's ImageFolder, cropped square and resized.

    `path` has either train/ (or training/) and test/ (or testing/, val/, valid/, validation/), each with a folder per
    class; with test/ and val/, the latter is the validation split, which a suite holds out on request; or only class folders, in `path` or in train/. In the second case `test_fraction` of the images of each class,
    drawn by name, are the test set. `groups` keeps the images of a group (a patient, a place) on the same side of this
    split: a CSV or TSV file in `path` with the columns path and group, or a regular expression whose first capture group
    or match in the path of a file is its group. Classes are numbered in the order of their names. The recall of a class
    without test images is undefined. A relative `path` is relative to the data root, so that the data set has the same
    name on every machine.

    All formats that Pillow decodes are read: the first of several frames, rotated by its EXIF orientation. Transparent
    parts are composited on grey of level `background`; 16-bit grey is scaled so that `white` (65535) becomes 255. Hidden
    files, links to folders and links into the other split are skipped and listed (`ltbench data`); an unreadable file is
    an error. On a command line all images are kept (profile `natural`) unless another profile or an imbalance factor is
    given.
    Source: none; the layout is that of torchvision.datasets.ImageFolder.
    """

    name = "image_folder"
    augment = "crop_flip"
    profile = "natural"
    licence = "that of the images"
    revision = 2

    path: Annotated[str, Meta(description="folder, absolute or relative to the data root")] = ""
    channels: Annotated[Literal[1, 3], Meta(description="1 for grey, 3 for colour")] = 3
    test_fraction: Annotated[
        float, Meta(ge=0, lt=1, description="fraction of each class for the test set if there is no test/ folder")
    ] = 0.0
    split_seed: Annotated[int, Meta(ge=0, description="seed of the random split by test_fraction")] = 0
    groups: Annotated[
        str, Meta(description="images that the split keeps together: FILE.csv (path, group) or a regular expression")
    ] = ""
    background: Annotated[
        int, Meta(ge=0, le=255, description="grey level behind transparent parts: 0 black, 255 white")
    ] = WHITE
    white: Annotated[
        float, Meta(ge=0, description="value of 16-bit, 32-bit and float grey that is white; 0: 65535, an error, 1")
    ] = 0.0

    def check(self) -> None:
        for name, given in (("split_seed", self.split_seed), ("groups", self.groups)):
            if given and not self.test_fraction:
                raise ParameterError(
                    f"image_folder has {name} = {given}, but no split without test_fraction",
                    fix=f"set test_fraction, or leave {name} out",
                )
        if self.groups:
            pattern(self.groups)
        if plain(self.path) != self.path and "\\x" in plain(self.path):
            raise ParameterError(
                f"the path of image_folder is not valid text: {self.path!a}",
                fix="rename the folder, or use a link to it: only UTF-8, no control characters",
            )

    @property
    def depth(self) -> int:
        return self.channels

    @property
    def rules(self) -> Rules:
        return Rules(channels=self.channels, size=self.size, background=self.background, white=self.white)

    def with_white(self, white: float) -> str:
        return self._with(white=white)

    def listing(self, root: Path) -> Listing:
        folder = self._folder(root)
        children = subfolders(folder)
        (train, flat_train), (tests, flat_tests) = (
            split_folders(children, names) for names in (TRAIN_NAMES, TEST_NAMES)
        )
        for split in (train, tests):
            check_names(split, folder)
        flat: list[Path] = []
        if not train and (tests or flat_tests):
            flat = flat_train
        elif train and not tests and not self.test_fraction:
            flat = flat_tests
        if flat:
            raise DataError(
                f"{plain(str(flat[0]))} has no folders; expected one for each class",
                fix=f"{flat[0].name}/CLASS/IMAGE" + f", or {self._with(test_fraction=0.2)}" * bool(train),
            )
        if train and tests:
            if self.test_fraction:
                raise DataError(
                    f"{plain(str(folder))} has {train[0].name}/ and {tests[0].name}/, and test_fraction would split it "
                    "again",
                    fix=f"{self._with(test_fraction=0.0, split_seed=0, groups='')}, or the path of one of the two folders",
                )
            is_tested = tests[0].name.casefold() not in VALID_NAMES
            valid = [path for path in tests if path.name.casefold() in VALID_NAMES][:1] if is_tested else []
            used = (train[0], tests[0], *valid)
            return self._given(folder, *used, notes=unused(children, used))
        if tests:
            raise DataError(
                f"{plain(str(folder))} has {tests[0].name}/ and no train/",
                fix=f"put train/CLASS/IMAGE there; or split {tests[0].name}/ itself: "
                f"{self._with(path=self._below(tests[0], folder), test_fraction=self.test_fraction or 0.2)}",
            )
        if not train and (inner := wrapped(folder)):
            raise DataError(
                f"{plain(str(folder))} has one folder, {plain(children[0].name)}/, and that holds the data set",
                fix=self._with(path=self._below(inner, folder)),
            )
        if self.test_fraction:
            base = train[0] if train else folder
            return self._split(folder, base, unused(children, train) if train else [])
        raise DataError(
            f"{plain(str(folder))} has no {'test' if train else 'train'}/",
            fix=f"put train/CLASS/IMAGE and test/CLASS/IMAGE there, or split it: {self._with(test_fraction=0.2)}",
        )

    def _with(self, **changes: object) -> str:
        return msgspec.structs.replace(self, **changes).label

    def _below(self, inner: Path, folder: Path) -> str:
        return str(Path(self.path) / inner.relative_to(folder))

    def _folder(self, root: Path) -> Path:
        if not self.path:
            raise DataError("image_folder has no path", fix="image_folder[path=FOLDER]")
        folder = find(root, self.path)
        if folder.is_file():
            raise DataError(f"{plain(str(folder))} is a file", fix="unpack it, and give the folder")
        if not folder.is_dir():
            raise DataError(
                f"there is no folder {plain(str(folder))}",
                fix="put CLASS/IMAGE, or train/CLASS/IMAGE and test/CLASS/IMAGE there" + or_other_root(self.path),
            )
        return folder

    def _given(self, folder: Path, train: Path, *others: Path, notes: list[str]) -> Listing:
        """Return the files of the given folders. others: the test split, and the validation split if there is one."""
        splits = [os.path.realpath(split) for split in (train, *others)]
        for (first, one), (second, other) in combinations(zip((train, *others), splits, strict=True), 2):
            if is_inside(one, other) or is_inside(other, one):
                raise DataError(
                    f"{first.name}/ and {second.name}/ are the same folder",
                    where=plain(str(folder)),
                    fix="remove the link",
                )
        classes = training_classes(train, splits)
        names = list(classes)
        by_split = [class_folders(split, splits) for split in others]
        for split, found in zip(others, by_split, strict=True):
            if unknown := [name for name in found if name not in classes]:
                near = nearest(unknown[0], names, n=1)
                raise DataError(
                    f"{plain(str(train))} has no class '{unknown[0]}', which {split.name}/ has",
                    where=plain(str(folder)),
                    fix=(f"is it '{near[0]}' in {train.name}/? " if near else "") + "a class needs images for training",
                )
        skipped = beside_classes(folder, train, *others)
        splits, linked = with_linked(splits, classes, *by_split), set[str]()
        train_items = class_images(classes, names, folder, splits, linked, skipped)
        test, *valid = (class_images(of, names, folder, splits, linked, skipped, required=False) for of in by_split)
        without = sorted(set(range(len(names))) - {item.label for item in test})
        listing = self._listing(folder, names, train_items, test, skipped, [*notes, *untested(names, without)], train)
        return msgspec.structs.replace(listing, valid=valid[0]) if valid else listing

    def _split(self, folder: Path, base: Path, notes: list[str]) -> Listing:
        splits = [os.path.realpath(base)]
        classes = training_classes(base, splits)
        names = list(classes)
        skipped = beside_classes(folder, base)
        items = class_images(classes, names, folder, with_linked(splits, classes), set(), skipped)
        drawn = self._drawn_groups(items, folder, notes) if self.groups else self._drawn(items, names, base)
        train = [item for item in items if item.path not in drawn]
        test = [item for item in items if item.path in drawn]
        without = sorted(set(range(len(names))) - {item.label for item in test})
        return self._listing(folder, names, train, test, skipped, [*notes, *untested(names, without)], base)

    def _drawn(self, items: Sequence[Item], names: Sequence[str], base: Path) -> set[Path]:
        """Return the test files: `test_fraction` of each class, at least one and not all."""
        by_class: list[dict[str, Path]] = [{} for _ in names]
        within = len(str(base)) + 1
        for item in items:
            # A slice, because `relative_to` takes seconds for a hundred thousand files.
            inside = str(item.path)[within:].partition(os.sep)[2].replace(os.sep, "/")
            by_class[item.label][inside] = item.path
        drawn: set[Path] = set()
        for of in by_class:
            number = min(max(round(self.test_fraction * len(of)), 1), len(of) - 1)
            drawn.update(of[key] for key in shuffled(of, self.split_seed)[:number])
        return drawn

    def _drawn_groups(
        self, items: Sequence[Item], folder: Path, notes: list[str]
    ) -> set[Path]:  # fmt: skip
        group_of = group_of_each(self.groups, [item.path for item in items], folder)
        members: dict[str, list[int]] = {}
        for item in items:
            members.setdefault(group_of[item.path], []).append(item.label)
        drawn = draw_groups(members, self.test_fraction, self.split_seed)
        notes.append(f"groups: {len(members) - len(drawn):,} for training, {len(drawn):,} for testing")
        return {item.path for item in items if group_of[item.path] in drawn}

    def _listing(
        self, folder: Path, names: Sequence[str], train: Sequence[Item], test: Sequence[Item],
        skipped: Sequence[Skipped], notes: Sequence[str], base: Path,
    ) -> Listing:  # fmt: skip
        if not test:
            raise DataError(
                f"{plain(str(folder))} has no test images",
                why="no class has two images" + " of different groups" * bool(self.groups)
                if self.test_fraction
                else "",
                fix="more images, or train/ and test/" if self.test_fraction else "put images into test/CLASS/",
            )
        return Listing(
            folder=folder,
            classes=tuple(names),
            train=train,
            test=test,
            skipped=skipped,
            notes=[*notes, *alike(names), *nested(train, base)],
        )


@hookimpl
def ltbench_datasets() -> list[type[Dataset]]:
    return [ImageFolder]
