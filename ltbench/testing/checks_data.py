"""Checks of data sets and profiles."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from ltbench.core.folders import data_root
from ltbench.errors import LtbenchError, UsageError
from ltbench.longtail import check_counts
from ltbench.testing.check import per_setting, per_technique
from ltbench.testing.feeding_calls import load
from ltbench.testing.subject import Subject, failed

_TOLERANCE = 0.02
"""Tolerance of the stated mean and standard deviation of pixels in [0, 1]; much larger than rounding errors."""

# --- data sets --------------------------------------------------------------------------------------------------


def _loaded(on: Subject) -> tuple[Any, Any]:
    return load(on.technique, data_root())


@per_setting
def images_match_info(on: Subject) -> None:
    """`load` returns images uint8 [N, channels, size, size] and labels int64 [N], as many as `info` states.

    Plans are made from `info` alone, before any image is read. Skipped if the files are missing.
    """
    from ltbench.engine.dataset_arrays import validated

    info, images = _loaded(on)
    validated(images, info, on.technique.label)


@per_setting
def pixel_statistics_match_info(on: Subject) -> None:
    """Mean and standard deviation in `info` match the training pixels in [0, 1], per channel.

    The harness normalises the images of every network with them.
    """
    import numpy as np

    info, images = _loaded(on)
    pixels = np.asarray(images.train_images)
    each = max(1, len(pixels) // 20_000)  # 20,000 images give two digits
    part = pixels[::each] / 255
    for what, stated, actual in (
        ("mean", info.mean, part.mean((0, 2, 3))),
        ("std", info.std, part.std((0, 2, 3))),
    ):
        if len(stated) != info.channels or np.abs(np.asarray(stated) - actual).max() > _TOLERANCE:
            raise failed(
                f"{what} is {stated}",
                f"{tuple(actual.round(3).tolist())}, as computed from the training images",
                f"correct {what}",
            )


@per_setting
def defaults_exist(on: Subject) -> None:
    """`augment` and `profile` are empty or name an augmentation and a profile, in command-line notation.

    They are the defaults for combinations without an augmentation and for command lines without a profile.
    """
    for stage in ("augment", "profile"):
        text = getattr(on.technique, stage)
        try:
            if text:
                on.registry.parse(text, stage)
        except LtbenchError as error:
            raise failed(f"{stage} = '{text}': {error.what}", f"a technique of stage {stage}", error.fix) from None


@per_setting
def fingerprint_is_stable(on: Subject) -> None:
    """`info` has a fingerprint, one of the validation split if there is one, and repeated calls return equal descriptions.

    Fingerprints are part of the identity of every job that reads the data.
    """
    info, _ = _loaded(on)
    if not info.fingerprint:
        raise failed("the fingerprint is empty", "a digest of the content", "hashlib.sha256(content).hexdigest()")
    if bool(info.valid_counts) != bool(info.valid_fingerprint):
        raise failed(
            f"valid_counts are {info.valid_counts}, and valid_fingerprint is '{info.valid_fingerprint}'",
            "a digest of the validation split if there is one",
            "state both, or none",
        )
    if on.technique.info(data_root()) != info:
        raise failed(
            "the second call of info differs from the first",
            "equal descriptions",
            "use constants or values read from files",
        )


DATASET = (images_match_info, pixel_statistics_match_info, defaults_exist, fingerprint_is_stable)

# --- profiles ---------------------------------------------------------------------------------------------------

FACTORS = (1.0, 10.0, 50.0)


def _profiles(on: Subject) -> list[tuple[list[int], float, list[int]]]:
    """Return available images, factor and counts for every factor that the profile accepts."""
    results = []
    for available in ([600] * 10, [600, 600], [500] * 100, [700, 900, 650, 800, 1000]):
        for factor in FACTORS:
            try:
                results.append((available, factor, on.technique.counts(list(available), factor)))
            except UsageError:  # such as a profile that keeps the natural imbalance
                continue
    return results


@per_setting
def counts_fit_the_available_images(on: Subject) -> None:
    """Every class keeps at least one image, and at most the available ones.

    Tested with 2 to 100 classes of at least 500 images, balanced or imbalanced, at imbalance factors of 1, 10 and 50.
    """
    for available, factor, counts in _profiles(on):
        if not all(isinstance(count, int) for count in counts):
            raise failed(f"counts are {counts[:5]}", "integers", "[int(n) for n in counts]")
        check_counts(counts, available, f"imbalance factor {factor:g}, {len(available)} classes")


@per_technique
def counts_do_not_rise(on: Subject) -> None:
    """By default, counts do not increase from class to class if all classes have equally many images.

    The first class is the head, the last one the tail. A parameter may choose another order.
    """
    for available, factor, counts in _profiles(on):
        if len(set(available)) == 1 and any(after > before for before, after in pairwise(counts)):
            raise failed(
                f"at factor {factor:g} counts are {counts[:10]}",
                "counts that decrease from head to tail",
                "order them by label",
            )


@per_setting
def imbalance_follows_the_factor(on: Subject) -> None:
    """A larger imbalance factor gives a larger imbalance, which exceeds the factor at most by rounding.

    A profile may keep the imbalance of the data and raise `UsageError` for every factor except 1. A balanced profile,
    with which others are compared, keeps fewer images instead.
    """
    by_factor = {factor: counts for available, factor, counts in _profiles(on) if available == [600] * 10}
    if all(max(counts) - min(counts) <= 1 for counts in by_factor.values()):
        totals = [sum(counts) for counts in by_factor.values()]
        if any(after >= before for before, after in pairwise(totals)):
            raise failed(
                f"it keeps {totals} images at the factors {list(by_factor)}",
                "a larger imbalance",
                "use imbalance_factor",
            )
        return
    ratios = {factor: max(counts) / min(counts) for factor, counts in by_factor.items() if min(counts) > 0}
    for before, after in pairwise(ratios):
        if ratios[after] <= ratios[before]:
            raise failed(
                f"at factor {after:g} the imbalance is {ratios[after]:.3g}",
                f"a larger imbalance than at {before:g}",
                "use imbalance_factor",
            )
    for factor, ratio in ratios.items():
        if ratio > 1.2 * factor:  # rounding small counts down increases the ratio
            raise failed(
                f"at factor {factor:g} the imbalance is {ratio:.3g}", "at most about the factor", "n_max / factor"
            )


@per_setting
def keeps_all_is_true(on: Subject) -> None:
    """A profile with `keeps_all` keeps every image at factor 1.

    It is planned once besides other profiles, and does not reduce the user's own data sets.
    """
    for available, factor, counts in _profiles(on) if on.technique.keeps_all else ():
        if counts != available:
            raise failed(f"at factor {factor:g} it keeps {counts} of {available}", "all", "remove keeps_all")


PROFILE = (counts_fit_the_available_images, counts_do_not_rise, imbalance_follows_the_factor, keeps_all_is_true)
