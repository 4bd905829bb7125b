"""Inputs for techniques: 2 and 1,000 classes, the rarest with one image; and what is asked of draws."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import torch
from torch import Tensor, nn

from ltbench import Dataset, Sampler
from ltbench.core.folders import data_root
from ltbench.errors import DataError
from ltbench.registry.registry import Registry
from ltbench.testing.randomness import states
from ltbench.testing.told import moment_at

CLASSES = (2, 1000)
both_sizes = pytest.mark.parametrize("classes", CLASSES)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def long_tail(classes: int, most: int = 60) -> Tensor:
    """Return class counts that fall from `most` to a single image."""
    return torch.tensor([max(1, int(most ** (1 - c / (classes - 1)))) for c in range(classes)])


def labels_of(counts: Tensor | Sequence[int]) -> Tensor:
    """Return labels with these counts, in a scrambled order."""
    counts = torch.as_tensor(counts)
    labels = torch.arange(len(counts)).repeat_interleave(counts)
    return labels[torch.randperm(len(labels), generator=generator(7))]


def build(registry: Registry, text: str, channels: int = 3, size: int = 32, classes: int = 10) -> nn.Module:
    """Return the network of a model without its weights: shapes and counts need none."""
    with torch.device("meta"):
        return registry.parse(text, "model").build(channels, size, classes)


def shape(network: nn.Module, channels: int = 3, size: int = 32) -> tuple[int, ...]:
    """Return the shape of the logits of two images."""
    return tuple(network.eval()(torch.empty(2, channels, size, size, device="meta")).shape)


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def available(dataset: Dataset) -> Path:
    """Return the data root where the data set is there; skip the test elsewhere."""
    try:
        dataset.locate(data_root())
    except DataError as missing:
        pytest.skip(f"{missing.what} (under {data_root()})")
    return data_root()


@contextmanager
def global_randomness_untouched() -> Iterator[None]:
    before = states()
    yield
    assert states() == before, "a global random state has moved"


def assert_distributed(
    observed: Tensor | Sequence[int], expected: Tensor | Sequence[float], level: float = 1e-3
) -> None:
    """Assert that counts of draws agree with what is expected, by a chi-squared test."""
    seen, share = np.asarray(observed, float), np.asarray(expected, float)
    p = scipy.stats.chisquare(seen, share * seen.sum() / share.sum()).pvalue
    assert p > level, f"observed {seen.tolist()[:20]}, expected {share.tolist()[:20]}: p = {p:.2g}"


def epoch_of(
    sampler: Sampler, counts: Tensor | Sequence[int], batch_size: int = 16, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Return the indices of an epoch and the labels they index, as the engine asks for them."""
    counts = torch.as_tensor(counts)
    labels = labels_of(counts)
    pool = sampler.pool(labels, counts, generator(seed))
    return sampler.epoch_at(pool, labels, counts, batch_size, moment_at(0), generator(seed + 1)), labels
