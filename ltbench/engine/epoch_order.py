"""The order in which a sampler visits a training subset: pool, batch size, and batches per epoch."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from ltbench.engine import output_checks
from ltbench.engine.streams import generator
from ltbench.errors import JobFailed
from ltbench.stages import Moment, Sampler

_TRIAL = Moment(epoch=0, epochs=1.0, step=0, steps=1)
"""The moment of the epoch that shows how long epochs are: the length of the training follows from it."""


class EpochOrder:
    """A sampler applied to a training subset.

    The pool is drawn once, from its own random stream. If the last batch of an epoch has a single image, it is dropped:
    batch normalisation cannot compute a variance from one sample.

    labels: int64 [N] and counts: int64 [C], on the CPU; stream: purpose of the random stream of the pool. Raises `JobFailed` if the sampler returns indices that are out
    of range or outside its pool, or epochs of different lengths.
    """

    def __init__(
        self, sampler: Sampler, labels: Tensor, counts: Tensor, batch_size: int, seed: int, *, stream: str = "pool"
    ) -> None:
        self.sampler = sampler
        self.labels, self.counts = labels, counts
        self.recipe_batch_size = batch_size
        with output_checks.leaving_no_state(sampler):
            size: object = sampler.batch_size(batch_size, len(counts))
        if not (isinstance(size, int) and size >= 2):
            raise output_checks.wrong_output(sampler, f"batch size {size!r}", "an integer of at least 2")
        self.batch_size = size
        with output_checks.leaving_no_state(sampler):
            pool = sampler.pool(labels, counts, generator(seed, stream))
        self.pool = output_checks.check_indices(sampler, "pool", pool, len(labels))
        self.images_per_epoch = 0
        # Draw an epoch from a copy of the stream: only the sampler knows the length of its epochs.
        with output_checks.leaving_no_state(sampler):
            self.images_per_epoch = len(self.draw_epoch(generator(seed, "order"), _TRIAL))
        usable = self.images_per_epoch - (self.images_per_epoch % self.batch_size == 1)
        self.batches_per_epoch = -(-usable // self.batch_size)  # rounded up
        if not self.batches_per_epoch:
            raise JobFailed(f"sampler '{sampler.label}' visits one image per epoch, and a batch needs two")

    def draw_epoch(self, stream: Generator, moment: Moment) -> Tensor:
        """Return the indices of an epoch, int64 [M], with the same M every time. moment: of its first step."""
        drawn = self.sampler.epoch_at(self.pool, self.labels, self.counts, self.recipe_batch_size, moment, stream)
        indices = output_checks.check_indices(self.sampler, "an epoch", drawn, len(self.labels))
        if not bool(torch.isin(indices, self.pool).all()):
            raise output_checks.wrong_output(
                self.sampler, "an epoch with images that are not in its pool", "images of the pool"
            )
        if self.images_per_epoch and len(indices) != self.images_per_epoch:
            raise output_checks.wrong_output(
                self.sampler, f"an epoch of {len(indices)} images", f"{self.images_per_epoch}, as before"
            )
        return indices
