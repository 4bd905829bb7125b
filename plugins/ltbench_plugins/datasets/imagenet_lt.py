"""ImageNet-LT."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar

from ltbench import Dataset, Meta, hookimpl
from ltbench_plugins.datasets._official import OfficialPhotos, Rows, long_tailed_lists


class ImagenetLt(OfficialPhotos, frozen=True):
    """A long-tailed part of ImageNet: 115,846 training images of 1,000 classes with 1,280 to 5 each.

    Test images are the 50,000 validation images of ImageNet; the 20,000 images of the validation split are held out if a suite asks
    for it. On a command line all images are kept (profile `natural`) unless another profile or an imbalance factor is given. Files
    are resized by torch (antialiased bicubic), with pixels that differ from Pillow's by at most 2 of 255; the fingerprint is that of
    the files and of how they are read.
    Source: Liu et al., "Large-Scale Long-Tailed Recognition in an Open World", CVPR 2019.
    """

    name = "imagenet_lt"
    licence = "non-commercial research, as ImageNet states it"
    home = "https://www.image-net.org and https://github.com/zhmiao/OpenLongTailRecognition-OLTR"
    numbers: ClassVar = {"train": 115_846, "valid": 20_000, "test": 50_000}
    class_number = 1_000
    extremes = (1_280, 5)
    layout = (
        "ImageNet_LT_train.txt, ImageNet_LT_val.txt and ImageNet_LT_test.txt, with ImageNet (ILSVRC 2012) as "
        "train/n01440764/*.JPEG and val/n01440764/*.JPEG"
    )
    known: ClassVar = {"test": "676da53fb7028512649dddbd7797dbb0", "valid": "5da53cbd61c10cd273ba5992beb9f02e"}

    path: Annotated[str, Meta(description="folder of the data set, absolute or relative to the data root")] = "imagenet"

    def rows(self, folder: Path) -> Iterator[tuple[str, Rows]]:
        return long_tailed_lists(folder, "ImageNet_LT")


@hookimpl
def ltbench_datasets() -> list[type[Dataset]]:
    return [ImagenetLt]
