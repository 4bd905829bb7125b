"""Any data set of images in the formats of the library datasets of Hugging Face."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar

from ltbench import Dataset, Meta, hookimpl
from ltbench.core.text_streams import with_progress_bars
from ltbench.errors import DataError, ParameterError, nearest
from ltbench.image_files.names import in_order, is_hidden, listed, plain
from ltbench_plugins.datasets._files import LeftOut
from ltbench_plugins.datasets._listing import Item, Listing, Skipped
from ltbench_plugins.datasets._own import OwnImages, is_of_datasets
from ltbench_plugins.datasets._tables import ALIASES, by_preference

INSTALL = 'pip install "ltbench[huggingface]"'
_opened: dict[tuple[Path, str, str], dict[str, Any]] = {}
"""Cache of opened data sets by folder, configuration and version of its files, as opening takes seconds."""


class HfFolder(OwnImages, frozen=True):
    """Images in a folder that the library datasets of Hugging Face reads: of `save_to_disk`, Parquet files, or images.

    The images are the column of type Image, the labels that of type ClassLabel, or columns known by usual names (image,
    label), or given as `image_column` and `label_column`. Classes are numbered as ClassLabel does; labels that are text
    or numbers as by `image_list`. Splits are those of the data set: train, test and validation; without test images
    the test set is drawn by `test_fraction` or `folds`, as for `image_folder`, and a column group keeps images together.
    Images without a label are skipped and listed (`ltbench data`). Images are read as by `image_folder`. Needs the
    package datasets.
    Source: none; the formats are those of Lhoest et al., "Datasets: A Community Library for Natural Language Processing",
    EMNLP 2021.
    """

    name = "hf_folder"
    requires: ClassVar[Mapping[str, str]] = {"datasets": INSTALL}

    image_column: Annotated[str, Meta(description="column of images; empty: the one of type Image")] = ""
    label_column: Annotated[
        str, Meta(description="column of labels; empty: of type ClassLabel, or known by its name")
    ] = ""
    group_column: Annotated[str, Meta(description="column of groups; empty: known by its name")] = ""
    config: Annotated[
        str, Meta(description="configuration (subset) of the data set; empty: its only or default one")
    ] = ""

    def check(self) -> None:
        super().check()
        if self.groups and self.group_column:
            raise ParameterError("hf_folder has both groups and group_column", fix="leave one of them out")

    @classmethod
    def reads(cls, path: Path) -> bool:
        return path.is_dir() and is_of_datasets(path)

    def listing(self, root: Path) -> Listing:
        folder, stamp, opened = self._open(root)
        parts = self._splits(opened, folder)
        features = next(iter(parts.values())).features
        image, label, group = self._columns(features, folder)
        for split, part in parts.items():
            _check_types(part.features, image, label, f"{plain(str(folder))}, {split or 'train'}")
        given = getattr(features[label], "names", None)
        # Each part with its own names: the library lets parts number the same classes in different orders.
        labels = {
            split: _labels(part[label], getattr(part.features[label], "names", None)) for split, part in parts.items()
        }
        first = labels.get("train", labels.get("", []))
        names, order = (list(given), "of ClassLabel") if given else in_order({name for name in first if name})
        if unknown := in_order({name for of in labels.values() for name in of if name} - {*names})[0]:
            raise DataError(
                f"no training image is of class {listed([repr(name) for name in unknown])}", where=plain(str(folder)),
                fix="a class needs images for training",
            )  # fmt: skip
        if len(names) < 2:
            raise DataError(f"{plain(str(folder))} has {len(names)} classes", why="a classifier needs at least two",
                            fix="another label_column, or images of other classes")  # fmt: skip
        number = {name: label for label, name in enumerate(names)}
        skipped: list[Skipped] = []
        items: dict[str, Sequence[Item]] = {}
        for split, part in parts.items():
            place, of = split or "train", labels[split]
            groups = (
                ["" if one is None else plain(str(one)) for one in part[group]]
                if group in part.features
                else [""] * len(of)
            )
            source = part.select_columns([image])
            items[split] = [
                Item(
                    folder / place / str(row), number[name], groups[row], partial(_content, source, image, row, folder)
                )
                for row, name in enumerate(of)
                if name
            ]
            if without := [row for row, name in enumerate(of) if not name]:
                skipped.append(Skipped(None, place, LeftOut("without a label", len(without), str(without[0]))))
        used = {"image": image, "label": label, "group": group}
        notes = ["columns: " + ", ".join(f"{use} from '{plain(column)}'" for use, column in used.items() if column)]
        return self._listed(folder, items, [plain(name) for name in names], order, notes, skipped, stamp)

    def _open(self, root: Path) -> tuple[Path, str, dict[str, Any]]:
        """Return a place that names the data set, what changes with its content, and its parts by split."""
        folder = self._folder(root, self.path, "path", "dataset_info.json and *.arrow, data/*.parquet, or images")
        stamp = _version(folder)
        if (key := (folder, self.config, stamp)) not in _opened:
            _opened[key] = _open(folder, self.config, root)
        return folder, stamp, _opened[key]

    def _columns(self, features: Mapping[str, Any], folder: Path) -> tuple[str, str, str]:
        """Return the columns of images, labels and groups; that of groups may be empty."""
        by_type = {use: [name for name, one in features.items() if type(one).__name__ == kind]
                   for use, kind in (("image", "Image"), ("label", "ClassLabel"))}  # fmt: skip
        given = {"image": self.image_column, "label": self.label_column, "group": self.group_column}
        found = {}
        for use, column in given.items():
            if column and column not in features:
                near = nearest(column, features, n=1)
                raise DataError(f"{plain(str(folder))} has no column '{column}'", why=f"its columns are {listed([*features])}",
                                fix=f"{use}_column={near[0] if near else 'NAME'}")  # fmt: skip
            candidates = by_type.get(use) or ([] if use == "image" else by_preference([*features], use))
            if not column and use != "group" and (not candidates or len(by_type[use]) > 1):
                what = {"image": "images", "label": f"labels ({', '.join(ALIASES['label'])})"}[use]
                several = f"it has several columns of {use}s: {', '.join(candidates)}" if candidates else ""
                raise DataError(
                    f"it is not known which column of {plain(str(folder))} has the {what}",
                    why=several or f"its columns are {listed([*features])}",
                    fix=f"{use}_column={candidates[0] if candidates else 'NAME'}",
                )
            found[use] = column or (candidates[0] if candidates else "")
        if found["image"] not in by_type["image"] and by_type["image"]:
            raise DataError(f"column '{found['image']}' of {plain(str(folder))} is not of type Image",
                            fix=f"image_column={by_type['image'][0]}")  # fmt: skip
        return found["image"], found["label"], found["group"]


def _open(folder: Path, config: str, root: Path) -> dict[str, Any]:
    """Return the parts of a data set in a folder by split, with images as bytes or paths."""
    datasets = library("hf_folder")
    is_saved = (folder / "state.json").is_file() or (folder / "dataset_dict.json").is_file()
    if is_saved and config:
        raise DataError(f"{plain(str(folder))} has no configurations", why="it is a folder of save_to_disk",
                        fix="leave config out")  # fmt: skip
    try:
        with with_progress_bars():
            opened = (
                datasets.load_from_disk(str(folder))
                if is_saved
                else datasets.load_dataset(str(folder), config or None, cache_dir=str(cache(root)))
            )
    except Exception as error:
        # The library raises errors of many kinds for files that it does not know.
        raise DataError(
            f"{plain(str(folder))} cannot be read by the library datasets",
            why=why_not(error),
            fix="config=NAME"
            if "Config name is missing" in str(error)
            else "a folder of save_to_disk, data/*.parquet, or images in CLASS/ (or image_folder)",
        ) from error
    return parts_of(opened)


def why_not(error: Exception) -> str:
    """Return what an error of the library says, in one line."""
    return plain(" ".join(f"{type(error).__name__}: {error}".split()))[:500]


def library(name: str) -> Any:
    """Return the package datasets. name: of the data set that needs it. Raises `DataError` without it."""
    try:
        import datasets
        from tqdm import tqdm
    except ImportError:
        raise DataError(f"{name} needs the package datasets, which is not installed", fix=INSTALL) from None
    # The default lock of its progress bars is a semaphore of all processes, which a killed worker would leave behind.
    if not hasattr(tqdm, "_lock"):
        tqdm.set_lock(threading.RLock())
    return datasets


def cache(root: Path) -> Path:
    """Return the folder in which the library keeps what it has read."""
    return root / "prepared" / "huggingface"


def parts_of(opened: Any) -> dict[str, Any]:
    """Return the parts of an opened data set by split, with images as bytes or paths."""
    parts = dict(opened) if isinstance(opened, dict) else {str(opened.split or "train"): opened}
    return {split: _undecoded(part) for split, part in parts.items()}


def _undecoded(part: Any) -> Any:
    import datasets

    for name, feature in part.features.items():
        if isinstance(feature, datasets.Image):
            part = part.cast_column(name, datasets.Image(decode=False))
    return part


def _check_types(features: Mapping[str, Any], image: str, label: str, where: str) -> None:
    """Raise `DataError` unless a part has the column of images as images, and that of labels as one label for each."""
    for column in (image, label):
        if column not in features:
            raise DataError(f"{where} has no column '{column}'", why=f"its columns are {listed([*features])}",
                            fix="the same columns in every split, or a data set without this split")  # fmt: skip
    if type(features[image]).__name__ != "Image":
        raise DataError(f"column '{image}' of {where} is not of type Image", fix=f"cast_column('{image}', Image())")
    kind = features[label]
    if not (hasattr(kind, "names") or type(kind).__name__ == "Value"):
        raise DataError(f"column '{label}' of {where} has no single label for each image",
                        why=f"its type is {type(kind).__name__}", fix="label_column=NAME, a column of texts, numbers or ClassLabel")  # fmt: skip


def _labels(values: Sequence[Any], names: Sequence[str] | None) -> list[str]:
    """Return labels as names; empty for none."""
    if names is not None:
        return [names[value] if value is not None and value >= 0 else "" for value in values]
    return ["" if value is None else plain(str(value).strip()) for value in values]


def _content(part: Any, column: str, row: int, folder: Path) -> bytes:
    """Return the bytes of the image in a row."""
    value: dict[str, Any] = part[row][column] or {}
    if value.get("bytes") is None and value.get("path"):
        return (folder / str(value["path"])).read_bytes()
    return bytes(value.get("bytes") or b"")


def _version(folder: Path) -> str:
    """Return a digest of names, sizes and modification times of the files of a folder."""
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not is_hidden(file.name):
            stat = file.stat()
            digest.update(f"{plain(str(file.relative_to(folder)))}/{stat.st_size}/{stat.st_mtime_ns}/".encode())
    return digest.hexdigest()[:32]


@hookimpl
def ltbench_datasets() -> list[type[Dataset]]:
    return [HfFolder]
