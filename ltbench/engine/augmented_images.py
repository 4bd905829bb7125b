"""Reading training images by index, augmented.

An augmentation that only has `apply` runs through `prepare` and `batch`, its fast path. One that is told about labels,
moment or state, or that follows the data set's own, gets float images. What follows draws from a stream of its own, so
the data set's own augmentation draws what it would draw alone.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ltbench.engine import output_checks
from ltbench.engine.segment import Reading
from ltbench.engine.stored_images import AnyImages, StoredImages, centre_of
from ltbench.engine.streams import Stream
from ltbench.stages import Adaptive, Augment, Told

Tell = Callable[[Adaptive], Told]
"""Technique -> what it is told about the batch."""
Read = Callable[[Tensor, Tell, Stream], Tensor]
"""Indices int64 [B] -> images float32 [B, channels, size, size] in [0, 1]."""


def reader(whole: AnyImages, reading: Reading, size: int) -> Read:
    """Return a function that reads and augments images. whole: as they are stored, uint8 [N, channels, side, side].

    size: of what is returned; what an augmentation does not choose is cut out of the centre. What follows another augmentation draws from the stream `augment_after`, any other from `augment`.
    """
    augment, images = reading.augment, centre_of(whole, size)
    if augment is None:
        return lambda indices, _tell, _stream: images[indices].float().mul_(1 / 255)
    if augment.follows:
        return _told(augment, "augment_after", reader(whole, Reading(reading.first), size))
    if type(augment).apply_to is not Augment.apply_to:
        return _told(augment, "augment", reader(images, Reading(None), size))
    if whole.shape[-1] != size and type(augment).to_size is not Augment.to_size:
        return lambda indices, _tell, stream: augment.to_size(
            whole[indices].float().mul_(1 / 255), size, stream("augment")
        )
    if isinstance(images, StoredImages):

        def read(indices: Tensor, _tell: Tell, stream: Stream) -> Tensor:
            # The same images as of all prepared at once, because `batch` does what `apply` does.
            batch = augment.prepare(images[indices])
            return augment.batch(batch, torch.arange(len(indices), device=batch.device), stream("augment"))

        return read
    with output_checks.leaving_no_state(augment):
        prepared = augment.prepare(images)
    return lambda indices, _tell, stream: augment.batch(prepared, indices, stream("augment"))


def _told(augment: Augment, purpose: str, before: Read) -> Read:
    def read(indices: Tensor, tell: Tell, stream: Stream) -> Tensor:
        return augment.apply_to(before(indices, tell, stream), tell(augment), stream(purpose))

    return read
