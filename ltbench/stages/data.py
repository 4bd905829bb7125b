"""Data: images, labels and class counts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from ltbench.data_report import Census, DataReport
from ltbench.technique import Technique

if TYPE_CHECKING:
    from typing import Self

    from ltbench.image_files.decode import Rules


class DatasetInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The description of a data set, which is enough to plan before any image is read."""

    classes: tuple[str, ...]
    train_counts: tuple[int, ...]
    """Training images available per class, in label order."""
    test_counts: tuple[int, ...]
    channels: int
    size: int
    """Height and width of the square images that networks take, in pixels."""
    stored: int = 0
    """Height and width of the stored images, of which augmentations take a part of `size`; 0: `size`."""
    mean: tuple[float, ...]
    """Mean of the training pixels in [0, 1] per channel; the engine normalises with it."""
    std: tuple[float, ...]
    fingerprint: str
    """Digest of the content; part of the identity of every job that reads the data."""
    licence: str = ""
    source: str = ""
    valid_counts: tuple[int, ...] = ()
    """Images per class of the data set's own validation split, which is held out if a suite asks for it; empty for none."""
    valid_fingerprint: str = ""
    """Digest of the validation split; part of the identity of jobs that hold it out, as `fingerprint` is of all."""
    train_units: int = 0
    """Number of units of the training images, which stay together when some are held out: images of one patient or place,
    and copies of an image. 0: every image is one."""
    report: DataReport | None = None
    """What was found in the files, for a data set that is described by reading them; not part of an identity."""

    @property
    def side(self) -> int:
        """Height and width of the stored images."""
        return self.stored or self.size


class Images(msgspec.Struct, frozen=True, kw_only=True):
    """A data set in memory, memory-mapped, or as `ltbench.image_files.image_rows.ImageRows`.

    Images are `uint8 [N, channels, side, side]` with the side of stored images, labels `int64 [N]`.
    """

    train_images: Any
    train_labels: Any
    test_images: Any
    test_labels: Any
    train_units: Any = None
    """The unit of each training image, `int64 [N]`, from 0 to `DatasetInfo.train_units` - 1; None if every image is one."""
    valid_images: Any = None
    """Images of the validation split; None for a data set without one."""
    valid_labels: Any = None


class Dataset(Technique, frozen=True):
    """A source of images and labels."""

    stage: ClassVar[str] = "dataset"
    augment: ClassVar[str] = ""
    """The default augmentation of this data set, in command-line notation; empty for none."""
    profile: ClassVar[str] = ""
    """The profile if a command line names this data set but no profile or imbalance factor; empty for the suite's."""

    @classmethod
    def reads(cls, path: Path) -> bool:
        """Whether this data set reads the images of a user at a path, which is then its parameter `path`."""
        return False

    def whole(self) -> Self | None:
        """Return this data set with all images for training, for a model that is used and no longer measured.

        They are the test images, too. None if test images are given, which stay apart.
        """
        return None

    def info(self, root: Path) -> DatasetInfo:
        """Describe the data set, from constants if possible, so that plans need no files.

        root: the folder of all data sets. Raises `DataError` if the description needs missing files.
        """
        raise NotImplementedError

    def locate(self, root: Path) -> str:
        """Return where the data is, in one line. Raises `DataError` with instructions if it is missing."""
        raise NotImplementedError

    def fetch(self, root: Path) -> None:
        """Download missing files if possible, for a data set that cannot be described without them (`data --download`)."""

    def load(self, root: Path) -> Images:
        """Read and verify the images; download missing ones first if possible."""
        raise NotImplementedError

    def reading(self, info: DatasetInfo) -> Rules:
        """Return the rules by which further image files become images of this data set, to be classified by its models.

        By default, opaque images of its channels, cropped to the central square and resized.
        """
        from ltbench.image_files.decode import Rules

        return Rules(channels=info.channels, size=info.size, stored=info.stored)

    def census(self, root: Path) -> Census | None:
        """Return what the image files are like; None for a data set that is not read from files of users."""
        return None


class Profile(Technique, frozen=True):
    """Class counts for an imbalance factor."""

    stage: ClassVar[str] = "profile"
    keeps_all: ClassVar[bool] = False
    """Whether it keeps every image for any imbalance factor; it is planned once, at factor 1."""

    def counts(self, available: Sequence[int], imbalance_factor: float) -> list[int]:
        """Return how many training images each class keeps.

        available: images per class, in label order; imbalance_factor: ratio of largest and smallest class, >= 1.
        """
        raise NotImplementedError
