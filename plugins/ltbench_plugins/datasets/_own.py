"""Data sets of a user's own images: how they are read and divided, whatever lists them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import msgspec

from ltbench import Meta
from ltbench.errors import DataError, ParameterError
from ltbench_plugins.datasets._decode import WHITE, Rules
from ltbench_plugins.datasets._division import Division
from ltbench_plugins.datasets._folders import Folders, find, or_other_root
from ltbench_plugins.datasets._groups import group_of_each, pattern
from ltbench_plugins.datasets._listing import Item
from ltbench_plugins.datasets._names import plain

TRAIN_NAMES = ("train", "training")
VALID_NAMES = ("val", "valid", "validation")
TEST_NAMES = ("test", "testing", *VALID_NAMES)


class OwnImages(Folders, frozen=True):
    """Images of a user. What lists them is a subclass."""

    augment = "crop_flip"
    profile = "natural"
    licence = "that of the images"
    by_content: ClassVar[bool] = True

    path: Annotated[str, Meta(description="folder, absolute or relative to the data root")] = ""
    channels: Annotated[Literal[1, 3], Meta(description="1 for grey, 3 for colour")] = 3
    test_fraction: Annotated[
        float, Meta(ge=0, lt=1, description="fraction of each class for the test set if there are no test images")
    ] = 0.0
    folds: Annotated[
        int, Meta(ge=0, description="number of folds of a cross-validation, in place of test_fraction; 0 for none")
    ] = 0
    fold: Annotated[int, Meta(ge=1, description="the fold that is the test set, 1 to folds")] = 1
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
        if self.folds == 1:
            raise ParameterError(
                f"{self.name} has one fold", why="it would be both training and test set", fix="folds=5"
            )
        if self.fold > max(self.folds, 1):
            raise ParameterError(
                f"{self.name} has fold = {self.fold}, but {self.folds} folds",
                fix=f"fold is 1 to {self.folds or 'folds'}",
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
        return Rules(channels=self.channels, size=self.size, background=self.background, white=self.white)

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

    def undivided(self, **changes: object) -> str:
        """Return the label of this data set without a division."""
        return self._with(test_fraction=0.0, folds=0, fold=1, split_seed=0, groups="", **changes)

    def _with(self, **changes: object) -> str:
        return msgspec.structs.replace(self, **changes).label

    def _grouped(self, items: Sequence[Item], folder: Path) -> Sequence[Item]:
        """Return the items with their groups, if groups are given. Raises `DataError` for an item without one."""
        if not self.groups:
            return items
        group_of = group_of_each(self.groups, [item.path for item in items], folder)
        return [msgspec.structs.replace(item, group=group_of[item.path]) for item in items]

    def _folder(self, root: Path, path: str, what: str, layout: str) -> Path:
        """Return an existing folder. what: the parameter that names it; layout: what it should contain."""
        if not path:
            raise DataError(f"{self.name} has no {what}", fix=f"{self.name}[{what}=FOLDER]")
        folder = find(root, path)
        if folder.is_file():
            raise DataError(f"{plain(str(folder))} is a file", fix="unpack it, and give the folder")
        if not folder.is_dir():
            raise DataError(f"there is no folder {plain(str(folder))}", fix=f"put {layout} there" + or_other_root(path))
        return folder
