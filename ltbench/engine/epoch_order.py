"""The order in which a sampler visits a training subset: pool, batch size, and batches per epoch."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from ltbench.core.spec import stream_seed
from ltbench.engine import output_checks
from ltbench.errors import JobFailed
from ltbench.stages import Sampler


class EpochOrder:
    """A sampler applied to a training subset.

    The pool is drawn once, from its own random stream. If the last batch of an epoch has a single image, it is dropped:
    batch normalisation cannot compute a variance from one sample.

    labels: int64 [N] and counts: int64 [C], on the CPU. Raises `JobFailed` if the sampler returns indices that are out
    of range or outside its pool, or epochs of different lengths.
    """

    def __init__(self, sampler: Sampler, labels: Tensor, counts: Tensor, batch_size: int, seed: int) -> None:
        self.sampler = sampler
        self.labels, self.counts = labels, counts
        self.recipe_batch_size = batch_size
        with output_checks.leaving_no_state(sampler):
            size: object = sampler.batch_size(batch_size, len(counts))
        if not (isinstance(size, int) and size >= 2):
            raise output_checks.wrong_output(sampler, f"batch size {size!r}", "an integer of at least 2")
        self.batch_size = size
        with output_checks.leaving_no_state(sampler):
            pool = sampler.pool(labels, counts, generator(seed, "pool"))
        self.pool = output_checks.check_indices(sampler, "pool", pool, len(labels))
        self.images_per_epoch = 0
        # Draw an epoch from a copy of the stream: only the sampler knows the length of its epochs.
        with output_checks.leaving_no_state(sampler):
            self.images_per_epoch = len(self.draw_epoch(generator(seed, "order")))
        usable = self.images_per_epoch - (self.images_per_epoch % self.batch_size == 1)
        self.batches_per_epoch = -(-usable // self.batch_size)  # rounded up
        if not self.batches_per_epoch:
            raise JobFailed(f"sampler '{sampler.label}' visits one image per epoch, and a batch needs two")

    def draw_epoch(self, stream: Generator) -> Tensor:
        """Return the indices of an epoch, int64 [M], with the same M every time."""
        drawn = self.sampler.epoch(self.pool, self.labels, self.counts, self.recipe_batch_size, stream)
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


def generator(seed: int, purpose: str, device: torch.device | str = "cpu") -> Generator:
    """Return the generator of one random stream of a training."""
    return Generator(device).manual_seed(stream_seed(seed, purpose))
