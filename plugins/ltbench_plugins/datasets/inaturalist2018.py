"""iNaturalist 2018."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar

from ltbench import Dataset, Meta, hookimpl
from ltbench_plugins.datasets._official import OfficialPhotos, Rows, json_rows, lines_of


class Inaturalist2018(OfficialPhotos, frozen=True):
    """Photos of 8,142 species as people took them: 437,513 for training with 1,000 to 2 of each species.

    Test images are the 24,426 of the published validation split, three of each species, as in the literature; labels of the published
    test split are secret. The images are named by the annotations of the competition (train2018.json, val2018.json), or by lists that
    were made from them (iNaturalist18_train.txt, iNaturalist18_val.txt). Files are read as by `imagenet_lt`.
    Source: Van Horn et al., "The iNaturalist Species Classification and Detection Dataset", CVPR 2018.
    """

    name = "inaturalist2018"
    licence = "non-commercial research, as the competition states it"
    home = "https://github.com/visipedia/inat_comp/tree/master/2018"
    numbers: ClassVar = {"train": 437_513, "test": 24_426}
    class_number = 8_142
    extremes = (1_000, 2)
    layout = "train2018.json and val2018.json, with the images as train_val2018/Plantae/7291/*.jpg"
    known: ClassVar = {"test": "da04554197d7d345b6fdd80b107a38b2"}

    path: Annotated[str, Meta(description="folder of the data set, absolute or relative to the data root")] = (
        "inaturalist2018"
    )

    def rows(self, folder: Path) -> Iterator[tuple[str, Rows]]:
        for split, name in (("train", "train"), ("test", "val")):
            text = folder / f"iNaturalist18_{name}.txt"
            yield split, lines_of(text) if text.is_file() else json_rows(folder / f"{name}2018.json")

    def class_of(self, path: str) -> str:
        """Return kingdom or class, and number, as `Plantae 7291`: names of species are not in the files that are needed."""
        return " ".join(path.split("/")[-3:-1])


@hookimpl
def ltbench_datasets() -> list[type[Dataset]]:
    return [Inaturalist2018]
