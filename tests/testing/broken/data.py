"""Broken data sets and profiles."""

from __future__ import annotations

import itertools

import msgspec
from testing.broken.marks import breaks

from ltbench import Dataset, DatasetInfo, Images, Profile

CALLS = itertools.count()

# --- data sets --------------------------------------------------------------------------------------------------

INFO = DatasetInfo(
    classes=("a", "b", "c"), train_counts=(40, 40, 40), test_counts=(5, 5, 5), channels=1, size=8, mean=(0.5,),
    std=(0.29,), fingerprint="made", valid_counts=(2, 0, 3), valid_fingerprint="made, too",
)  # fmt: skip


class SoundData(Dataset, frozen=True):
    """Make images up. Source: none."""

    name = "sound_data"

    def info(self, root):
        return INFO

    def locate(self, root):
        return "made up"

    def load(self, root):
        import numpy as np

        rng = np.random.default_rng(0)
        info, parts = SoundData.info(self, root), {}
        splits = {"train": info.train_counts, "test": info.test_counts, "valid": info.valid_counts}
        for part, counts in splits.items():
            parts[f"{part}_images"] = rng.integers(256, size=(sum(counts), 1, 8, 8), dtype=np.uint8)
            parts[f"{part}_labels"] = np.arange(3).repeat(counts)
        return Images(**parts)


@breaks("images_match_info", SoundData, "info")
def fewer_images(self, root):
    """Promise images that there are not."""
    return msgspec.structs.replace(INFO, train_counts=(50, 40, 30))


@breaks("pixel_statistics_match_info", SoundData, "info")
def mean_of_bytes(self, root):
    """State the mean of bytes."""
    return msgspec.structs.replace(INFO, mean=(127.5,))


@breaks("defaults_exist")
class UnknownProfile(SoundData, frozen=True):
    """Misspell its profile. Source: none."""

    name = "unknown_profile"
    profile = "naturally"


@breaks("defaults_exist")
class UnknownAugment(SoundData, frozen=True):
    """Misspell its augmentation. Source: none."""

    name = "unknown_augment"
    augment = "crop_flop"


@breaks("fingerprint_is_stable", SoundData, "info")
def no_valid_fingerprint(self, root):
    """Leave the fingerprint of the validation split empty."""
    return msgspec.structs.replace(INFO, valid_fingerprint="")


@breaks("fingerprint_is_stable", SoundData, "info")
def no_fingerprint(self, root):
    """Leave the fingerprint empty."""
    return msgspec.structs.replace(INFO, fingerprint="")


# --- profiles ---------------------------------------------------------------------------------------------------


class SoundProfile(Profile, frozen=True):
    """Fall along an exponential. Source: none."""

    name = "sound_profile"

    def counts(self, available, imbalance_factor):
        last = len(available) - 1
        return [int(min(available) / imbalance_factor ** (label / last)) for label in range(len(available))]


@breaks("counts_fit_the_available_images", SoundProfile, "counts")
def greedy(self, available, imbalance_factor):
    """Keep more images than there are."""
    return [2 * number for number in SoundProfile.counts(self, available, imbalance_factor)]


@breaks("counts_fit_the_available_images", SoundProfile, "counts")
def empty_tail(self, available, imbalance_factor):
    """Leave the last class without an image."""
    return [*SoundProfile.counts(self, available, imbalance_factor)[:-1], 0]


@breaks("counts_do_not_rise", SoundProfile, "counts")
def rising(self, available, imbalance_factor):
    """Begin with the tail."""
    return SoundProfile.counts(self, available, imbalance_factor)[::-1]


@breaks("imbalance_follows_the_factor", SoundProfile, "counts")
def one_factor(self, available, imbalance_factor):
    """Know one imbalance alone."""
    return SoundProfile.counts(self, available, 10.0)


@breaks("keeps_all_is_true")
class KeepsSome(SoundProfile, frozen=True):
    """Say that it keeps all. Source: none."""

    name = "keeps_some"
    keeps_all = True
