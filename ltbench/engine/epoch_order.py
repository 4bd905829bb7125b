"""The order of a sampler: its pool, the size of a batch, and epochs cut into batches."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from ltbench.core.spec import stream_seed
from ltbench.engine import output_checks
from ltbench.errors import JobFailed
from ltbench.stages import Sampler


class Order:
    """What a sampler makes of a training subset.

    The pool is drawn once, from a stream of its own. A last batch of a single image is left out of its epoch: batch
    normalisation has no variance of one.

    labels: int64 [N] and counts: int64 [C], on the CPU. Raises `JobFailed` where the sampler returns indices that are
    out of range or not of its pool, or epochs of changing length.
    """

    def __init__(self, sampler: Sampler, labels: Tensor, counts: Tensor, batch_size: int, seed: int) -> None:
        self.sampler = sampler
        self.labels, self.counts = labels, counts
        self.recipe_batch_size = batch_size
        self.batch_size = _whole(sampler, sampler.batch_size(batch_size, len(counts)))
        pool = sampler.pool(labels, counts, generator(seed, "pool"))
        self.pool = output_checks.check_indices(sampler, "pool", pool, len(labels))
        self.visits = 0
        # A first epoch from a copy of the stream: only the sampler itself knows how long its epochs are.
        self.visits = len(self.epoch(generator(seed, "order")))
        usable = self.visits - (self.visits % self.batch_size == 1)
        self.batches = -(-usable // self.batch_size)
        """Batches of an epoch."""
        if not self.batches:
            raise JobFailed(f"sampler '{sampler.label}' visits one image an epoch, and a batch needs two")

    def epoch(self, stream: Generator) -> Tensor:
        """Return the indices of one epoch, int64 [M], with the same M every time."""
        drawn = self.sampler.epoch(self.pool, self.labels, self.counts, self.recipe_batch_size, stream)
        indices = output_checks.check_indices(self.sampler, "an epoch", drawn, len(self.labels))
        if not bool(torch.isin(indices, self.pool).all()):
            raise output_checks.wrong(
                self.sampler, "an epoch with images that are not in its pool", "images of the pool"
            )
        if self.visits and len(indices) != self.visits:
            raise output_checks.wrong(self.sampler, f"an epoch of {len(indices)} images", f"{self.visits}, as before")
        return indices


def _whole(sampler: Sampler, batch_size: object) -> int:
    if isinstance(batch_size, int) and batch_size >= 2:
        return batch_size
    raise output_checks.wrong(sampler, f"batch size {batch_size!r}", "a whole number of at least 2")


def generator(seed: int, purpose: str, device: torch.device | str = "cpu") -> Generator:
    """Return the generator of one random stream of a training."""
    return Generator(device).manual_seed(stream_seed(seed, purpose))
