"""Any folder of images with a subfolder for each class."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from ltbench import Dataset, Meta, hookimpl
from ltbench.errors import DataError, ParameterError
from ltbench_plugins.datasets._folders import Folders, Item, Listing, find, image_files, plain, shuffled, subfolders

TEST_NAMES = ("test", "val", "valid", "validation")


class ImageFolder(Folders, frozen=True):
    """Images in a folder for each class, the layout of torchvision's ImageFolder, cropped square and resized.

    Either `path` has the folders train/ and test/ (or val/) with a folder per class in each, or it has the folders of
    the classes, and `test_fraction` of the images of each class, drawn by name, are for testing. Classes are numbered
    in the order of their names; the first is the head. A relative `path` is under the data root, so that the same data
    set has the same name on another machine.
    Source: none; the layout is that of torchvision.datasets.ImageFolder.
    """

    name = "image_folder"
    augment = "crop_flip"
    licence = "that of the images"

    path: Annotated[str, Meta(description="the folder, under the data root or absolute")] = ""
    channels: Annotated[Literal[1, 3], Meta(description="1 for grey, 3 for colour")] = 3
    test_fraction: Annotated[
        float, Meta(ge=0, lt=1, description="share of each class for testing where there is no test/; 0 with test/")
    ] = 0.0
    split_seed: Annotated[int, Meta(ge=0, description="which images test_fraction draws")] = 0

    def check(self) -> None:
        if self.split_seed and not self.test_fraction:
            raise ParameterError(
                f"image_folder has split_seed = {self.split_seed} and nothing to split",
                fix="give test_fraction too, or leave split_seed out",
            )

    @property
    def depth(self) -> int:
        return self.channels

    def listing(self, root: Path) -> Listing:
        folder = self._folder(root)
        train = folder / "train"
        tests = [folder / name for name in TEST_NAMES if (folder / name).is_dir()]
        if self.test_fraction:
            if train.is_dir() and tests:
                raise DataError(
                    f"{folder} has {train.name}/ and {tests[0].name}/, and test_fraction would split it again",
                    fix=f"image_folder[path={self.path}], or the path of one of the two folders",
                )
            return self._split(folder)
        if not train.is_dir() or not tests:
            raise DataError(
                f"{folder} has no {'train' if not train.is_dir() else 'test'}/",
                fix=f"put train/CLASS/IMAGE and test/CLASS/IMAGE there, or split it: "
                f"image_folder[path={self.path},test_fraction=0.2]",
            )
        return self._given(folder, train, tests[0])

    def _folder(self, root: Path) -> Path:
        if not self.path:
            raise DataError("image_folder has no path", fix="image_folder[path=FOLDER]")
        folder = find(root, self.path)
        if not folder.is_dir():
            raise DataError(
                f"there is no folder {folder}", fix="put CLASS/IMAGE, or train/CLASS/IMAGE and test/CLASS/IMAGE there"
            )
        return folder

    def _given(self, folder: Path, train: Path, test: Path) -> Listing:
        by_split = [_files_by_class(split) for split in (train, test)]
        for here, there, split in ((0, 1, test), (1, 0, train)):
            if missing := sorted(set(by_split[here]) - set(by_split[there])):
                raise DataError(
                    f"{split} has no class '{missing[0]}'", where=str(folder), fix="put the same classes in both"
                )
        classes = tuple(by_split[0])
        train_items, test_items = (
            [Item(file, label) for label, name in enumerate(classes) for file in files[name]] for files in by_split
        )
        return Listing(folder=folder, classes=classes, train=train_items, test=test_items)

    def _split(self, folder: Path) -> Listing:
        by_class = _files_by_class(folder)
        train: list[Item] = []
        test: list[Item] = []
        for label, (name, files) in enumerate(by_class.items()):
            if len(files) < 2:
                raise DataError(f"class '{name}' of {folder} has one image; a split needs two")
            of = {file.relative_to(folder).as_posix(): file for file in files}
            number = min(max(round(self.test_fraction * len(files)), 1), len(files) - 1)
            drawn = set(shuffled(of, self.split_seed)[:number])
            train += [Item(file, label) for key, file in of.items() if key not in drawn]
            test += [Item(file, label) for key, file in of.items() if key in drawn]
        return Listing(folder=folder, classes=tuple(by_class), train=train, test=test)


def _files_by_class(folder: Path) -> dict[str, list[Path]]:
    """Return the image files of each class, classes sorted by name. Raises `DataError` for a class without images."""
    classes = {plain(path.name): path for path in subfolders(folder)}
    if not classes:
        raise DataError(f"{folder} has no folders; expected one for each class")
    files = {name: image_files(path) for name, path in classes.items()}
    if empty := _first_empty(files.items()):
        raise DataError(f"{classes[empty]} has no images", fix="put images there, or remove the folder")
    return files


def _first_empty(classes: Iterable[tuple[str, list[Path]]]) -> str:
    return next((name for name, files in classes if not files), "")


@hookimpl
def ltbench_datasets() -> list[type[Dataset]]:
    return [ImageFolder]
