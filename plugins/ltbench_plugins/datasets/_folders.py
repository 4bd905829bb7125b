"""Data sets of image files in folders: listing, describing and reading them.

The description depends on the files, so the first call reads them all: images are stored where the engine looks for
prepared arrays, and the description in a small file beside them, named by a digest of the listing (names, sizes and
modification times of the files). Later calls list the files and read that file. This module does not need torch.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import msgspec

from ltbench import Dataset, DatasetInfo, Images, Meta
from ltbench.errors import DataError
from ltbench_plugins.datasets._content import fingerprint

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL.Image import Image

    Bytes = npt.NDArray[np.uint8]

EXTENSIONS = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
_LEAST_STD = 1 / 255
_described: dict[str, DatasetInfo] = {}
"""Cache of descriptions by digest of the listing, for data roots that cannot be written."""
_log = logging.getLogger(__name__)


class Item(msgspec.Struct, frozen=True):
    """An image file and its label."""

    path: Path
    label: int


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """The files of a data set, in the order of its images."""

    folder: Path
    classes: tuple[str, ...]
    train: Sequence[Item]
    test: Sequence[Item]


class Folders(Dataset, frozen=True):
    """A data set of image files; images are cropped to the central square and resized to `size` pixels."""

    licence: ClassVar[str] = ""
    home: ClassVar[str] = ""

    size: Annotated[int, Meta(ge=1, le=1024, description="pixels a side that images are resized to")] = 32

    def listing(self, root: Path) -> Listing:
        """List the files. Raises `DataError` that says what to put where if they are missing."""
        raise NotImplementedError

    @property
    def depth(self) -> int:
        """Channels of an image: 1 is grey, 3 is colour."""
        return 3

    def info(self, root: Path) -> DatasetInfo:
        listing = self.listing(root)
        digest = _digest(listing, self.label)
        if digest not in _described:
            file = root / "prepared" / f"{self.name}-{digest}.json"
            _described[digest] = _read(file) or self._describe(listing, root, file)
        return _described[digest]

    def locate(self, root: Path) -> str:
        listing = self.listing(root)
        return f"{listing.folder} ({len(listing.train) + len(listing.test)} images)"

    def load(self, root: Path) -> Images:
        return self._images(self.listing(root))

    def _images(self, listing: Listing) -> Images:
        import numpy as np

        _log.info("%s: reading %d images", self.label, len(listing.train) + len(listing.test))
        return Images(
            train_images=decode([item.path for item in listing.train], self.depth, self.size),
            train_labels=np.array([item.label for item in listing.train], np.int64),
            test_images=decode([item.path for item in listing.test], self.depth, self.size),
            test_labels=np.array([item.label for item in listing.test], np.int64),
        )

    def _describe(self, listing: Listing, root: Path, file: Path) -> DatasetInfo:
        from ltbench.engine.dataset_arrays import keep

        images = self._images(listing)
        mean, std = moments(images.train_images)
        info = DatasetInfo(
            classes=listing.classes,
            train_counts=_counts(listing.train, len(listing.classes)),
            test_counts=_counts(listing.test, len(listing.classes)),
            channels=self.depth,
            size=self.size,
            mean=mean,
            std=std,
            fingerprint=fingerprint(images),
            licence=self.licence,
            source=self.home,
        )
        keep(self, images, info, root)
        _write(file, info)
        return info


def find(root: Path, path: str) -> Path:
    """Return the folder of a parameter: an absolute path, or one under the data root."""
    return root / Path(path).expanduser()


def image_files(folder: Path) -> list[Path]:
    """Return the image files below a folder, sorted by name; hidden and other files are skipped."""
    files: list[Path] = []
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files += [Path(parent, name) for name in names if name.lower().endswith(EXTENSIONS) and name[0] != "."]
    return sorted(files, key=os.fsencode)


def subfolders(folder: Path) -> list[Path]:
    """Return the folders in a folder, sorted by name; hidden ones are skipped."""
    folders = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
    return sorted(folders, key=lambda path: plain(path.name))


def plain(name: str) -> str:
    """Return a file name as text: composed whatever form the file system uses for accents, without invalid bytes."""
    return unicodedata.normalize("NFC", name).encode("utf-8", "replace").decode("utf-8")


def shuffled(names: Iterable[str], seed: int) -> list[str]:
    """Return the names in a pseudo-random order that depends only on names and seed."""
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed}/{plain(name)}".encode()).digest())


def decode(files: Sequence[Path], channels: int, size: int) -> Bytes:
    """Return images uint8 [N, channels, size, size]. Raises `DataError` for a file that is no image."""
    import numpy as np
    from PIL import Image

    images = np.empty((len(files), channels, size, size), np.uint8)
    for image, file in zip(images, files, strict=True):
        try:
            with Image.open(file) as opened:
                square = _square(opened.convert("L" if channels == 1 else "RGB"), size)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            # Pillow raises any of these for a corrupt file.
            raise DataError(
                f"{file} cannot be read as an image",
                why=f"{type(error).__name__}: {error}",
                fix="repair or remove the file",
            ) from error
        image[:] = np.asarray(square).reshape(size, size, channels).transpose(2, 0, 1)
    return images


def _square(image: Image, size: int) -> Image:
    from PIL.Image import Resampling

    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side)).resize((size, size), Resampling.BICUBIC)


def moments(images: Bytes) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and population standard deviation per channel of pixels / 255, to six digits; the latter is never 0."""
    import numpy as np

    mean, std = [], []
    values = np.arange(256) / 255
    for channel in range(images.shape[1]):
        share = np.bincount(images[:, channel].ravel(), minlength=256) / images[:, channel].size
        middle = float(share @ values)
        mean.append(round(middle, 6))
        std.append(round(max(float(share @ (values - middle) ** 2) ** 0.5, _LEAST_STD), 6))
    return tuple(mean), tuple(std)


def _counts(items: Iterable[Item], classes: int) -> tuple[int, ...]:
    counts = [0] * classes
    for item in items:
        counts[item.label] += 1
    return tuple(counts)


def _digest(listing: Listing, label: str) -> str:
    """Return a digest of names, sizes and modification times of the files."""
    digest = hashlib.sha256(label.encode())
    for items in (listing.train, listing.test):
        digest.update(f"/{len(items)}/".encode())
        for item in items:
            try:
                stat = item.path.stat()
            except OSError as error:
                raise DataError(f"{item.path} cannot be read", why=str(error.strerror)) from error
            digest.update(os.fsencode(item.path.relative_to(listing.folder)))
            digest.update(f"/{item.label}/{stat.st_size}/{stat.st_mtime_ns}/".encode())
    digest.update("/".join(listing.classes).encode())
    return digest.hexdigest()[:32]


def _read(file: Path) -> DatasetInfo | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=DatasetInfo)
    except (OSError, msgspec.DecodeError):
        return None


def _write(file: Path, info: DatasetInfo) -> None:
    """Write a description completely or not at all; if that fails, each process recomputes it."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent, prefix=f".{file.stem}-") as folder:
            staged = Path(folder) / file.name
            staged.write_bytes(msgspec.json.encode(info))
            staged.replace(file)
    except OSError as error:
        _log.info("%s cannot be written: %s", file, error)
