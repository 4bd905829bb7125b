"""Data sets of a user's own images: how they are read and divided, whatever lists them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self, TypeVar

import msgspec

from ltbench import Meta
from ltbench.errors import DataError, NoTestImages, ParameterError, nearest
from ltbench.image_files.decode import WHITE, Rules
from ltbench.image_files.names import plain
from ltbench_plugins.datasets._division import Division
from ltbench_plugins.datasets._files import subfolders
from ltbench_plugins.datasets._folders import Folders, StoredSide, check_stored, find, or_other_root
from ltbench_plugins.datasets._groups import group_of_each, pattern
from ltbench_plugins.datasets._layout import alike
from ltbench_plugins.datasets._listing import Item, Listing, Skipped

TRAIN_NAMES = ("train", "training")
VALID_NAMES = ("val", "valid", "validation")
TEST_NAMES = ("test", "testing", *VALID_NAMES)

_SPLITS = dict.fromkeys(TRAIN_NAMES, "train") | dict.fromkeys(TEST_NAMES, "test") | dict.fromkeys(VALID_NAMES, "valid")
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".rar", ".7z")
T = TypeVar("T")


def is_of_datasets(folder: Path) -> bool:
    """Return whether a folder is one of `save_to_disk` of the library datasets, or has Parquet files in place of classes."""
    if any((folder / name).is_file() for name in ("state.json", "dataset_dict.json")):
        return True
    if any(path.name != "data" for path in subfolders(folder)):
        return False
    return any(next(place.glob("*.parquet"), None) for place in (folder, folder / "data"))


class OwnImages(Folders, frozen=True):
    """Images of a user. What lists them is a subclass."""

    augment = "crop_flip"
    profile = "natural"
    licence = "that of the images"
    by_content: ClassVar[bool] = True

    path: Annotated[str, Meta(description="folder, absolute or relative to the data root")] = ""
    stored: StoredSide = 0
    fit: Annotated[
        Literal["crop", "pad", "squash"],
        Meta(
            description="how images become squares: their centre, all on a ground of `background`, or out of proportion"
        ),
    ] = "crop"
    channels: Annotated[Literal[1, 3], Meta(description="1 for grey, 3 for colour")] = 3
    test_fraction: Annotated[
        float, Meta(ge=0, lt=1, description="fraction of each class for the test set if there are no test images")
    ] = 0.0
    folds: Annotated[
        int, Meta(ge=0, description="number of folds of a cross-validation, in place of test_fraction; 0 for none")
    ] = 0
    fold: Annotated[
        int, Meta(ge=0, description="the fold that is the test set, 1 to folds; 0: train and test on all images")
    ] = 1
    split_seed: Annotated[int, Meta(ge=0, description="seed of the random split by test_fraction or folds")] = 0
    groups: Annotated[
        str, Meta(description="images that the split keeps together: FILE.csv (path, group) or a regular expression")
    ] = ""
    background: Annotated[
        int, Meta(ge=0, le=255, description="grey level behind transparent parts: 0 black, 255 white")
    ] = WHITE
    white: Annotated[
        float, Meta(ge=0, description="value of 16-bit, 32-bit and float grey that is white; 0: 65535, an error, 1")
    ] = 0.0
    strict: Annotated[bool, Meta(description="whether an unreadable file is an error; else it is skipped")] = False

    def check(self) -> None:
        for name, given in (("split_seed", self.split_seed), ("groups", self.groups)):
            if given and not self.is_divided:
                raise ParameterError(
                    f"{self.name} has {name} = {given}, but no split without test_fraction or folds",
                    fix=f"set test_fraction or folds, or leave {name} out",
                )
        if self.folds and self.test_fraction:
            raise ParameterError(f"{self.name} has both test_fraction and folds", fix="leave one of them out")
        check_stored(self, self.stored)
        if self.folds == 1:
            raise ParameterError(
                f"{self.name} has one fold", why="it would be both training and test set", fix="folds=5"
            )
        if self.fold > max(self.folds, 1) or (self.fold == 0 and not self.folds):
            raise ParameterError(
                f"{self.name} has fold = {self.fold}, but {self.folds} folds",
                fix=f"fold is 1 to {self.folds or 'folds'}, or with folds 0",
            )
        if self.groups:
            pattern(self.groups)
        if plain(self.path) != self.path and "\\x" in plain(self.path):
            raise ParameterError(
                f"the path of {self.name} is not valid text: {self.path!a}",
                fix="rename the folder, or use a link to it: only UTF-8, no control characters",
            )

    @property
    def depth(self) -> int:
        return self.channels

    @property
    def rules(self) -> Rules:
        return Rules(
            channels=self.channels, size=self.stored_side, fit=self.fit, background=self.background, white=self.white
        )

    @property
    def stored_side(self) -> int:
        return self.stored or self.size

    @property
    def is_strict(self) -> bool:
        return self.strict

    @property
    def is_divided(self) -> bool:
        """Whether the images are divided into training and test images here."""
        return bool(self.test_fraction or self.folds)

    @property
    def division(self) -> Division:
        """How they are divided."""
        return Division(fraction=self.test_fraction, folds=self.folds, fold=self.fold, seed=self.split_seed)

    def with_white(self, white: float) -> str:
        return self._with(white=white)

    def whole(self) -> Self | None:
        if not self.is_divided:
            return None
        return msgspec.structs.replace(self, test_fraction=0.0, folds=self.folds or 2, fold=0)

    def undivided(self, **changes: object) -> str:
        """Return the label of this data set without a division."""
        return self._with(test_fraction=0.0, folds=0, fold=1, split_seed=0, groups="", **changes)

    def _with(self, **changes: object) -> str:
        return msgspec.structs.replace(self, **changes).label

    def _grouped(self, items: Sequence[Item], folder: Path) -> Sequence[Item]:
        """Return the items with their groups, if groups are given. Raises `DataError` for an item without one."""
        if not self.groups:
            return items
        group_of = group_of_each(self.groups, [Path(item.path) for item in items], folder)
        return [msgspec.structs.replace(item, group=group_of[Path(item.path)]) for item in items]

    def _splits(self, given: Mapping[str, T], file: Path) -> dict[str, T]:
        """Return the parts of a data set by split: train, test, and valid; or under "" if they are to be divided here.

        given: the parts by the names that the data set gives them. Raises `DataError` for unknown names, and without
        test images.
        """
        found: dict[str, T] = {}
        for name, part in given.items():
            split = _SPLITS.get(name.casefold(), "")
            if not split:
                near = nearest(name.casefold(), _SPLITS, n=1)
                raise DataError(
                    f"{plain(str(file))} has the split '{plain(name)}'",
                    fix=(f"is it '{near[0]}'? " if near else "") + "splits are train, val and test",
                )
            if split in found:
                raise DataError(f"{plain(str(file))} has two names for the split {split}", fix="rename one of them")
            found[split] = part
        if "test" not in found and "valid" in found:
            found["test"] = found.pop("valid")
        if "train" not in found:
            raise DataError(f"{plain(str(file))} has no training images", fix="images of the split train")
        if "test" in found and self.is_divided:
            how = "folds" if self.folds else "test_fraction"
            raise DataError(f"{plain(str(file))} has test images, and {how} would split it again", fix=self.undivided())
        if "test" in found:
            return {split: found[split] for split in ("train", "test", "valid") if split in found}
        if self.is_divided:
            return {"": found["train"]}
        raise NoTestImages(
            f"{plain(str(file))} says of no image that it is for testing",
            fix=f"test images of their own, or split it: {self._with(test_fraction=0.2)}",
        )

    def _listed(
        self, folder: Path, items: dict[str, Sequence[Item]], classes: Sequence[str], order: str, notes: Sequence[str],
        skipped: Sequence[Skipped], stamp: str = "",
    ) -> Listing:  # fmt: skip
        """Return the listing of items by split, as `_splits` returns them."""
        notes = [*notes, *alike(classes)]
        if "" in items:
            items = {"": self._grouped(items[""], folder)}
        else:
            train, test = ({item.group for item in items[split]} - {""} for split in ("train", "test"))
            if train & test:
                notes.append(f"{len(train & test):,} of {len(test):,} groups of test images also have training images")
        return Listing(
            folder=folder,
            classes=tuple(classes),
            order=order,
            train=items.get("train", ()),
            test=items.get("test", ()),
            valid=items.get("valid", ()),
            undivided=items.get("", ()),
            division=self.division if "" in items else None,
            stamp=stamp,
            skipped=skipped,
            notes=notes,
        )

    def _folder(self, root: Path, path: str, what: str, layout: str) -> Path:
        """Return an existing folder. what: the parameter that names it; layout: what it should contain."""
        if not path:
            raise DataError(f"{self.name} has no {what}", fix=f"{self.name}[{what}=FOLDER]")
        folder = find(root, path)
        if folder.is_file():
            is_archive = folder.suffix.lower() in ARCHIVES
            fix = (
                "unpack it, and give the folder"
                if is_archive
                else f"image_list[path={path}], if it is a list of images"
            )
            raise DataError(f"{plain(str(folder))} is a file", fix=fix)
        if not folder.is_dir():
            raise DataError(f"there is no folder {plain(str(folder))}", fix=f"put {layout} there" + or_other_root(path))
        return folder
