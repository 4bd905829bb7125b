"""Breast histopathology: patches of tissue with and without invasive ductal carcinoma."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from ltbench import Dataset, Meta, hookimpl
from ltbench.errors import DataError, ParameterError
from ltbench.image_files.names import plain, shuffled
from ltbench_plugins.datasets._files import LeftOut, find_images, one_each, subfolders
from ltbench_plugins.datasets._folders import Folders, find, or_other_root
from ltbench_plugins.datasets._listing import Item, Listing, Skipped

CLASSES = ("IDC(-)", "IDC(+)")
HOME = "https://www.kaggle.com/paultimothymooney/breast-histopathology-images"
INNER = "IDC_regular_ps50_idx5"
"""The folder of the patients in Kaggle's archive."""
_LABEL = re.compile(r"class(\d+)\.\w+\Z")


class BreastHistopathology(Folders, frozen=True):
    """Patches of breast tissue without (class 0) and with (class 1) invasive ductal carcinoma; natural imbalance.

    Reads Kaggle's layout from `path`: PATIENT/CLASS/PATIENT_idx5_xX_yY_classC.png, patches of 50 x 50 pixels, of all
    279 patients or some of them. The split is by patient: `test_fraction` of the patients, drawn by their numbers, are
    the test set. Training patches keep their imbalance (profile `natural`, imbalance factor 1). Test patches are
    reduced to the same number per class, drawn by name, so that accuracy is measured on a balanced test set
    (`balanced_test`). `counts=772+76` keeps as many training patches as report jiang, which does not describe its
    split.
    Source: report jiang; Cruz-Roa et al., "Automatic detection of invasive ductal carcinoma in whole slide images with
    convolutional neural networks", SPIE Medical Imaging 2014; Janowczyk and Madabhushi, Journal of Pathology
    Informatics 2016.
    """

    name = "breast_histopathology"
    augment = "flip"
    profile = "natural"
    licence = "as Kaggle states it"
    home = HOME

    path: Annotated[str, Meta(description="folder of the patients, absolute or relative to the data root")] = "idc"
    test_fraction: Annotated[float, Meta(gt=0, lt=1, description="fraction of the patients in the test set")] = 0.25
    split_seed: Annotated[int, Meta(ge=0, description="seed of the random draw of patients and patches")] = 0
    counts: Annotated[
        tuple[Annotated[int, Meta(ge=1)], ...],
        Meta(description="training patches to keep of each class, such as 772+76; all if empty"),
    ] = ()
    balanced_test: Annotated[bool, Meta(description="reduce test patches to the same number per class")] = True

    def check(self) -> None:
        if len(self.counts) not in {0, len(CLASSES)}:
            raise ParameterError(
                f"breast_histopathology has two classes, but counts has {len(self.counts)} numbers", fix="counts=772+76"
            )

    def listing(self, root: Path) -> Listing:
        folder = self._folder(root)
        skipped: dict[tuple[int, str], LeftOut] = {}
        each = one_each(subfolders(folder), "patients")
        patients = {name: items for name, path in each.items() if (items := _patches(path, skipped))}
        if len(patients) < 2:
            raise self._missing(folder, f"it has {len(patients)} patients, but a split needs two")
        number = min(max(round(self.test_fraction * len(patients)), 1), len(patients) - 1)
        drawn = set(shuffled(patients, self.split_seed)[:number])
        train, test = (
            [item for patient, items in patients.items() if (patient in drawn) == testing for item in items]
            for testing in (False, True)
        )
        for split, items in (("training", train), ("test", test)):
            if len({item.label for item in items}) < len(CLASSES):
                raise DataError(
                    f"the {split} patients of {folder} have patches of one class only",
                    fix="another split_seed or test_fraction, or more patients",
                )
        if self.counts:
            train = self._cut(train, self.counts, "training patches beyond counts", skipped)
        if self.balanced_test:
            rarest = min(_number(test, label) for label in range(len(CLASSES)))
            test = self._cut(test, [rarest] * len(CLASSES), "test patches beyond the rarer class", skipped)
        return Listing(
            folder=folder,
            classes=CLASSES,
            train=train,
            test=test,
            skipped=[Skipped(label, CLASSES[label], part) for (label, _), part in sorted(skipped.items())],
            notes=[f"patients: {len(patients) - number} for training, {number} for testing"],
        )

    def _folder(self, root: Path) -> Path:
        folder = find(root, self.path)
        if not folder.is_dir():
            raise self._missing(folder, "there is no such folder")
        return folder / INNER if (folder / INNER).is_dir() else folder

    def _missing(self, folder: Path, why: str) -> DataError:
        return DataError(
            "breast_histopathology is missing",
            where=str(folder),
            why=why,
            fix=f"unpack the archive of {HOME} there, so that it has PATIENT/0/*_class0.png and PATIENT/1/*_class1.png; "
            "or name the folder: breast_histopathology[path=FOLDER]" + or_other_root(self.path),
        )

    def _cut(
        self, items: Sequence[Item], counts: Sequence[int], why: str, skipped: dict[tuple[int, str], LeftOut]
    ) -> list[Item]:
        """Return `counts` patches of each class, drawn by name, in their original order; note the others as skipped."""
        kept: set[str] = set()
        for label, number in enumerate(counts):
            names = [_key(item) for item in items if item.label == label]
            if number > len(names):
                raise DataError(
                    f"counts keeps {number} training patches of {CLASSES[label]}, but there are {len(names)}",
                    fix="smaller counts, or a smaller test_fraction",
                )
            drawn = shuffled(names, self.split_seed)
            kept.update(drawn[:number])
            if beyond := drawn[number:]:
                skipped[label, why] = LeftOut(why, len(beyond), beyond[0])
        return [item for item in items if _key(item) in kept]


def _patches(patient: Path, skipped: dict[tuple[int, str], LeftOut]) -> list[Item]:
    """Return the patches of a patient; raise `DataError` if a name contradicts its folder."""
    items = []
    for label in range(len(CLASSES)):
        if not (folder := patient / str(label)).is_dir():
            continue
        found = find_images(folder, [os.path.realpath(patient.parent)])
        for part in found.left_out:
            example = f"{plain(patient.name)}/{label}/{part.example}"
            skipped.setdefault((label, part.reason), LeftOut(part.reason, 0, example)).number += part.number
        for file in found.files:
            named = _LABEL.search(file.name)
            if named is None or int(named[1]) != label:
                raise DataError(
                    f"{file} is in the folder of class {label}, but its name does not end in class{label}",
                    fix="move it to the right folder, or remove it",
                )
            items.append(Item(file, label))
    return items


def _key(item: Item) -> str:
    """Return patient, class and name of a patch."""
    return "/".join(Path(item.path).parts[-3:])


def _number(items: Sequence[Item], label: int) -> int:
    return sum(item.label == label for item in items)


@hookimpl
def ltbench_datasets() -> list[type[Dataset]]:
    return [BreastHistopathology]
