"""What data sets and profiles have to hold."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from ltbench.core.folders import data_root
from ltbench.errors import LtbenchError, UsageError
from ltbench.longtail import check_counts
from ltbench.testing.ask_everything import load
from ltbench.testing.check import per_setting
from ltbench.testing.subject import Subject, failed

_FAR = 0.02
"""How far a stated mean or deviation of pixels in [0, 1] may be from that of the images; rounding is far below it."""

# --- data sets --------------------------------------------------------------------------------------------------


def _loaded(on: Subject) -> tuple[Any, Any]:
    dataset: Any = on.technique
    return load(dataset, data_root())


@per_setting
def images_are_as_described(on: Subject) -> None:
    """`load` returns images uint8 [N, channels, size, size] and labels int64 [N], as many as `info` says.

    A plan is made from `info` alone, before any image is read. Skipped where the files of the data set are not there.
    """
    import numpy as np

    info, images = _loaded(on)
    classes = len(info.classes)
    for part, counts in (("train", info.train_counts), ("test", info.test_counts)):
        pixels, labels = (np.asarray(getattr(images, f"{part}_{what}")) for what in ("images", "labels"))
        shape = [sum(counts), info.channels, info.size, info.size]
        if pixels.dtype != np.uint8 or list(pixels.shape) != shape:
            raise failed(
                f"{part} images are {pixels.dtype} {list(pixels.shape)}",
                f"uint8 {shape} as info says",
                "correct info or load",
            )
        if labels.dtype != np.int64 or labels.shape != (len(pixels),):
            raise failed(
                f"{part} labels are {labels.dtype} {list(labels.shape)}",
                f"int64 [{len(pixels)}]",
                "labels.astype(np.int64)",
            )
        if labels.min() < 0 or labels.max() >= classes:
            raise failed(
                f"{part} labels go from {labels.min()} to {labels.max()}",
                f"0 to {classes - 1}",
                "number classes from 0",
            )
        found = np.bincount(labels, minlength=classes).tolist()
        if found != list(counts):
            raise failed(
                f"{part} images per class are {found[:10]}", f"{list(counts)[:10]} as info says", "correct info or load"
            )


@per_setting
def pixels_are_as_described(on: Subject) -> None:
    """Mean and deviation in `info` are those of the training images, scaled to [0, 1], for each channel.

    Every network is fed images that are normalised with them.
    """
    import numpy as np

    info, images = _loaded(on)
    pixels = np.asarray(images.train_images)
    each = max(1, len(pixels) // 20_000)  # enough for two digits
    part = pixels[::each] / 255
    for what, stated, found in (
        ("mean", info.mean, part.mean((0, 2, 3))),
        ("std", info.std, part.std((0, 2, 3))),
    ):
        if len(stated) != info.channels or np.abs(np.asarray(stated) - found).max() > _FAR:
            raise failed(
                f"{what} is {stated}",
                f"{tuple(found.round(3).tolist())}, that of the training images",
                f"correct {what}",
            )


@per_setting
def its_augmentation_is_there(on: Subject) -> None:
    """`augment` is empty, or an augmentation as it is written on a command line.

    A combination that picks none gets that one.
    """
    dataset: Any = on.technique
    if dataset.augment:
        try:
            on.registry.parse(dataset.augment, "augment")
        except LtbenchError as error:
            raise failed(f"augment = '{dataset.augment}': {error.what}", "an augmentation", error.fix) from None


@per_setting
def a_fingerprint_tells_content(on: Subject) -> None:
    """`info` has a fingerprint, and is the same when it is asked for again.

    The fingerprint is in the identity of every job that reads the data.
    """
    info, _ = _loaded(on)
    dataset: Any = on.technique
    if not info.fingerprint:
        raise failed("the fingerprint is empty", "a digest of the content", "hashlib.sha256(content).hexdigest()")
    if dataset.info(data_root()) != info:
        raise failed("info says something else the second time", "the same", "constants, or what is read from files")


DATASET = (images_are_as_described, pixels_are_as_described, its_augmentation_is_there, a_fingerprint_tells_content)

# --- profiles ---------------------------------------------------------------------------------------------------

FACTORS = (1.0, 10.0, 50.0)


def _profiles(on: Subject) -> list[tuple[list[int], float, list[int]]]:
    """Return available images, factor and counts, for every factor that the profile takes."""
    profile: Any = on.technique
    found = []
    for available in ([600] * 10, [600, 600], [500] * 100, [700, 900, 650, 800, 1000]):
        for factor in FACTORS:
            try:
                found.append((available, factor, profile.counts(list(available), factor)))
            except UsageError:  # such as a profile that makes no imbalance of its own
                continue
    return found


@per_setting
def counts_are_of_images_that_there_are(on: Subject) -> None:
    """Every class keeps an image or more, and no more than it has.

    Tried with 2 to 100 classes of 500 images and more, balanced and not, at factors of 1, 10 and 50.
    """
    for available, factor, counts in _profiles(on):
        if not all(isinstance(count, int) for count in counts):
            raise failed(f"counts are {counts[:5]}", "whole numbers", "[int(n) for n in counts]")
        check_counts(counts, available, f"imbalance factor {factor:g}, {len(available)} classes")


@per_setting
def counts_fall(on: Subject) -> None:
    """Where classes have equally many images, counts do not rise from one class to the next.

    The first class is the head, the last one the tail.
    """
    for available, factor, counts in _profiles(on):
        if len(set(available)) == 1 and any(after > before for before, after in pairwise(counts)):
            raise failed(f"at factor {factor:g} counts are {counts[:10]}", "a fall from head to tail", "go by label")


@per_setting
def the_factor_is_followed(on: Subject) -> None:
    """A larger imbalance factor gives a larger imbalance, and none above itself by more than rounding does.

    A profile that raises `UsageError` for every factor but 1 leaves the imbalance to the data.
    """
    by_factor = {factor: counts for available, factor, counts in _profiles(on) if available == [600] * 10}
    ratios = {factor: max(counts) / min(counts) for factor, counts in by_factor.items() if min(counts) > 0}
    for before, after in pairwise(ratios):
        if ratios[after] <= ratios[before]:
            raise failed(
                f"at factor {after:g} the imbalance is {ratios[after]:.3g}",
                f"more than at {before:g}",
                "use imbalance_factor",
            )
    for factor, ratio in ratios.items():
        if ratio > 1.2 * factor:
            raise failed(
                f"at factor {factor:g} the imbalance is {ratio:.3g}", "about the factor at most", "n_max / factor"
            )


PROFILE = (counts_are_of_images_that_there_are, counts_fall, the_factor_is_followed)
