"""Images that are read batch by batch from where they are stored, as a tensor of them all would be indexed.

A subset of up to `IN_MEMORY` bytes is copied into memory, where augmentations prepare it as a whole. A larger one is not: it may be
larger than memory, and what batches read from its file is in the cache of the system, once for all processes of a machine. Batches
have the same bits either way.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from math import prod
from typing import Any, TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from ltbench.image_files.image_rows import ImageRows, mapped_rows

T = TypeVar("T", bound=Any)
IN_MEMORY = 1 << 28


class _Source:
    """Reads rows of a file, one batch of them ahead in a thread, so that nobody waits for a disk."""

    def __init__(self, rows: ImageRows, *, pinned: bool) -> None:
        self.rows, self._pinned = rows, pinned
        self._thread: ThreadPoolExecutor | None = None
        self._expected: tuple[Tensor, Future[Tensor]] | None = None

    def read(self, indices: Tensor) -> Tensor:
        """Return images, uint8 [B, channels, side, side]. indices: int64 [B]."""
        if self._expected is not None and torch.equal(self._expected[0], indices):
            (_, read), self._expected = self._expected, None
            return read.result()
        return self._read(indices)

    def expect(self, indices: Tensor) -> None:
        """Begin to read the images that will be asked for next."""
        self._thread = self._thread or ThreadPoolExecutor(1, "images ahead")
        self._expected = indices, self._thread.submit(self._read, indices)

    def _read(self, indices: Tensor) -> Tensor:
        images = torch.from_numpy(self.rows[indices.cpu().numpy()])
        # From pinned memory, the copy to a GPU does not wait for what the GPU does.
        return images.pin_memory() if self._pinned else images


class StoredImages:
    """Images uint8 [N, channels, size, size], of which an index reads some to a device."""

    def __init__(
        self, source: ImageRows | _Source, device: torch.device | None = None, size: int | None = None
    ) -> None:
        """device: of what is read; size: side of the centre of images that is returned, all of them if None."""
        self.device = device or torch.device("cpu")
        pinned = self.device.type == "cuda"
        self._source = _Source(source, pinned=pinned) if isinstance(source, ImageRows) else source
        shape = self._source.rows.shape
        self._size = shape[-1] if size is None else size
        self.shape = torch.Size((*shape[:2], self._size, self._size))

    def __len__(self) -> int:
        return len(self._source.rows)

    def __getitem__(self, indices: Tensor) -> Tensor:
        """Return images, uint8 [B, channels, size, size]. indices: int64 [B]."""
        return centre_of(self._source.read(indices).to(self.device, non_blocking=True), self._size)

    def expect(self, indices: Tensor) -> None:
        """Begin to read the images that will be asked for next, of these or of their centre."""
        self._source.expect(indices)

    def batches(self, size: int) -> Iterator[Tensor]:
        """Yield all images in stored order, in batches."""
        return (self[indices] for indices in torch.split(torch.arange(len(self)), size))

    def selected(self, indices: Tensor) -> StoredImages:
        """Return the images at `indices`, int64 [K], in that order, with repetitions."""
        return StoredImages(self._source.rows.at(indices.numpy()), self.device, self._size)

    def to(self, device: torch.device) -> StoredImages:
        """Return the same images, to be read to a device, for one training."""
        return StoredImages(self._source.rows, device, self._size)

    def centre(self, size: int) -> StoredImages:
        """Return the centre of these images, which is read as these are."""
        return StoredImages(self._source, self.device, size)

    def is_floating_point(self) -> bool:
        """Return False, as for a tensor of bytes."""
        return False


AnyImages = Tensor | StoredImages


def centre_of(images: T, size: int) -> T:
    """Return the central square of images [..., H, W], of an array or a tensor as a view of it."""
    if isinstance(images, StoredImages):
        return cast("T", images.centre(size))
    height, width = images.shape[-2:]
    top, left = (height - size) // 2, (width - size) // 2
    return images if height == width == size else cast("T", images[..., top : top + size, left : left + size])


def images_at(source: Any, indices: Any) -> AnyImages:
    """Return the images of a data set at `indices`, int64 [N]: in memory, or stored if they are many and in a file.

    source: uint8 [M, channels, size, size]; an array, or `ImageRows`.
    """
    if len(indices) * prod(source.shape[1:]) > IN_MEMORY and (rows := _in_file(source)) is not None:
        return StoredImages(rows.at(indices))
    return torch.from_numpy(source[indices])


def all_images(source: Any) -> AnyImages:
    """Return all images, as `images_at` does; those of an array share its memory."""
    if isinstance(source, np.ndarray) and (source.nbytes <= IN_MEMORY or _in_file(source) is None):
        return torch.from_numpy(source)
    return images_at(source, np.arange(len(source)))


def _in_file(source: Any) -> ImageRows | None:
    return source if isinstance(source, ImageRows) else mapped_rows(source)


def in_batches(images: AnyImages, size: int) -> Iterator[Tensor]:
    """Yield images in stored order, in batches."""
    return images.batches(size) if isinstance(images, StoredImages) else iter(torch.split(images, size))
