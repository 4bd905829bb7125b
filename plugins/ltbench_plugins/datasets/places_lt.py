"""Places-LT."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar

from ltbench import Dataset, Meta, hookimpl
from ltbench_plugins.datasets._official import OfficialPhotos, Rows, long_tailed_lists


class PlacesLt(OfficialPhotos, frozen=True):
    """A long-tailed part of Places365: 62,500 training images of 365 scenes with 4,980 to 5 each.

    Test images are 100 validation images of Places365 of each class; the 20 images of each class of the validation split are held out
    if a suite asks for it. Files are read as by `imagenet_lt`.
    Source: Liu et al., "Large-Scale Long-Tailed Recognition in an Open World", CVPR 2019.
    """

    name = "places_lt"
    licence = "as Places365 states it"
    home = "http://places2.csail.mit.edu and https://github.com/zhmiao/OpenLongTailRecognition-OLTR"
    numbers: ClassVar = {"train": 62_500, "valid": 7_300, "test": 36_500}
    class_number = 365
    extremes = (4_980, 5)
    layout = (
        "Places_LT_train.txt, Places_LT_val.txt and Places_LT_test.txt, with Places365-Standard in its small images (256 x 256, the "
        "archive with easy directories) as train/airfield/*.jpg and val/airfield/*.jpg"
    )
    known: ClassVar = {
        "train": "b71a98a3a55b40f034159bebc0a70650",
        "test": "d07a860b338f1d0c7fd350a515ad3c80",
        "valid": "fc9a0c20cf06763deea55b4fce57d18f",
    }

    path: Annotated[str, Meta(description="folder of the data set, absolute or relative to the data root")] = (
        "places365_standard"
    )

    def rows(self, folder: Path) -> Iterator[tuple[str, Rows]]:
        return long_tailed_lists(folder, "Places_LT")


@hookimpl
def ltbench_datasets() -> list[type[Dataset]]:
    return [PlacesLt]
