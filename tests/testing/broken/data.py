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
    std=(0.29,), fingerprint="made",
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
        for part, counts in (("train", info.train_counts), ("test", info.test_counts)):
            parts[f"{part}_images"] = rng.integers(256, size=(sum(counts), 1, 8, 8), dtype=np.uint8)
            parts[f"{part}_labels"] = np.arange(3).repeat(counts)
        return Images(**parts)


@breaks("images_match_info")
class FewerImages(SoundData, frozen=True):
    """Promise images that there are not. Source: none."""

    name = "fewer_images"

    def info(self, root):
        return msgspec.structs.replace(INFO, train_counts=(50, 40, 30))


@breaks("pixel_statistics_match_info")
class MeanOfBytes(SoundData, frozen=True):
    """State the mean of bytes. Source: none."""

    name = "mean_of_bytes"

    def info(self, root):
        return msgspec.structs.replace(INFO, mean=(127.5,))


@breaks("default_augmentation_exists")
class UnknownAugment(SoundData, frozen=True):
    """Misspell its augmentation. Source: none."""

    name = "unknown_augment"
    augment = "crop_flop"


@breaks("fingerprint_is_stable")
class NoFingerprint(SoundData, frozen=True):
    """Leave the fingerprint empty. Source: none."""

    name = "no_fingerprint"

    def info(self, root):
        return msgspec.structs.replace(INFO, fingerprint="")


# --- profiles ---------------------------------------------------------------------------------------------------


class SoundProfile(Profile, frozen=True):
    """Fall along an exponential. Source: none."""

    name = "sound_profile"

    def counts(self, available, imbalance_factor):
        last = len(available) - 1
        return [int(min(available) / imbalance_factor ** (label / last)) for label in range(len(available))]


@breaks("counts_fit_the_available_images")
class Greedy(SoundProfile, frozen=True):
    """Keep more images than there are. Source: none."""

    name = "greedy"

    def counts(self, available, imbalance_factor):
        return [2 * number for number in SoundProfile.counts(self, available, imbalance_factor)]


@breaks("counts_fit_the_available_images")
class EmptyTail(SoundProfile, frozen=True):
    """Leave the last class without an image. Source: none."""

    name = "empty_tail"

    def counts(self, available, imbalance_factor):
        return [*SoundProfile.counts(self, available, imbalance_factor)[:-1], 0]


@breaks("counts_do_not_rise")
class Rising(SoundProfile, frozen=True):
    """Begin with the tail. Source: none."""

    name = "rising"

    def counts(self, available, imbalance_factor):
        return SoundProfile.counts(self, available, imbalance_factor)[::-1]


@breaks("imbalance_follows_the_factor")
class OneFactor(SoundProfile, frozen=True):
    """Know one imbalance alone. Source: none."""

    name = "one_factor"

    def counts(self, available, imbalance_factor):
        return SoundProfile.counts(self, available, 10.0)
