"""Tiny ImageNet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, ClassVar

from ltbench import Dataset, Meta, hookimpl
from ltbench.errors import DataError
from ltbench.image_files.names import plain
from ltbench_plugins.datasets._official import Official, Rows, folder_rows


class TinyImagenet(Official, frozen=True):
    """100,000 training and 10,000 test images of 200 classes of ImageNet, 64 x 64 pixels; a profile makes it long-tailed.

    Test images are those of the published validation split, as labels of the published test split are secret. Files are read as by
    `imagenet_lt`.
    Source: Le and Yang, "Tiny ImageNet Visual Recognition Challenge", Stanford CS 231N, 2015.
    """

    name = "tiny_imagenet"
    augment = "crop_flip[padding=8]"
    licence = "non-commercial research, as ImageNet states it"
    home = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
    numbers: ClassVar = {"train": 100_000, "test": 10_000}
    class_number = 200
    extremes = (500, 500)
    layout = "wnids.txt, train/n01443537/images/*.JPEG, val/images/*.JPEG and val/val_annotations.txt"

    path: Annotated[str, Meta(description="folder of the data set, absolute or relative to the data root")] = (
        "tiny-imagenet-200"
    )
    size: Annotated[int, Meta(ge=1, le=1024, description="side in pixels of the images that networks take")] = 64

    def rows(self, folder: Path) -> Iterator[tuple[str, Rows]]:
        names = _names(folder)
        yield "train", folder_rows(folder / "train", names, "images")
        label_of = {name: label for label, name in enumerate(names)}
        file = folder / "val" / "val_annotations.txt"
        fields = [line.split("\t") for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
        try:
            paths, labels = [f"val/images/{of[0]}" for of in fields], [label_of[of[1]] for of in fields]
        except (IndexError, KeyError) as error:
            raise DataError(
                f"{plain(str(file))} cannot be read", why=f"{type(error).__name__}: {error}", fix="get it again"
            ) from None
        yield "test", Rows(file, paths, labels)

    def class_names(self, folder: Path, train: Rows) -> Sequence[str]:
        return _names(folder)


def _names(folder: Path) -> list[str]:
    return sorted((folder / "wnids.txt").read_text(encoding="utf-8").split())


@hookimpl
def ltbench_datasets() -> list[type[Dataset]]:
    return [TinyImagenet]
