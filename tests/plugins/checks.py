"""What every technique of a stage has to hold, and inputs for it: 2 and 1,000 classes, the rarest with one image."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pytest
import scipy.stats
import torch
from torch import Tensor

from ltbench import Augment, Loss, Mix, Mixed, Sampler, Weight

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


@contextmanager
def global_randomness_untouched() -> Iterator[None]:
    def states() -> tuple[object, ...]:
        kind, keys, *rest = np.random.get_state()  # noqa: NPY002
        return random.getstate(), kind, keys.tolist(), rest, torch.get_rng_state().tolist()

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
    return sampler.epoch(pool, labels, counts, batch_size, generator(seed + 1)), labels


def check_sampler(sampler: Sampler, classes: int) -> None:
    """Assert shapes, range, repeatability, and that nothing else moves."""
    counts = long_tail(classes)
    labels = labels_of(counts)
    kept = labels.clone(), counts.clone()
    with global_randomness_untouched():
        pool = sampler.pool(labels, counts, generator())
        size = sampler.batch_size(64, classes)
        drawing = generator(1)
        epochs = [sampler.epoch(pool, labels, counts, 64, drawing) for _ in range(2)]
    assert torch.equal(labels, kept[0])
    assert torch.equal(counts, kept[1])
    assert isinstance(size, int)
    assert size >= 2
    for indices in (pool, *epochs):
        assert indices.dtype == torch.int64
        assert indices.dim() == 1
        assert 0 <= indices.min() <= indices.max() < len(labels)
    assert torch.isin(epochs[0], pool).all()
    assert len(epochs[0]) == len(epochs[1])
    assert not torch.equal(*epochs), "every epoch has the same order"
    again = sampler.epoch(pool, labels, counts, 64, generator(1))
    assert torch.equal(again, epochs[0]), "the same generator gives another epoch"
    assert set(labels[epochs[0]].tolist()) == set(range(classes)) or sampler.name == "reweighted_sampler"


def check_loss(loss: Loss, classes: int) -> None:
    """Assert shape, sign, finite gradients even of extreme logits, and that nothing else moves."""
    counts = long_tail(classes)
    labels = torch.randint(classes, (32,), generator=generator())
    for size in (1.0, 100.0, 10_000.0):
        logits = (size * torch.randn(32, classes, generator=generator(1))).requires_grad_()
        kept = logits.detach().clone(), labels.clone(), counts.clone()
        with global_randomness_untouched():
            losses = loss.per_sample(logits, labels, counts)
        assert losses.shape == (32,)
        assert losses.dtype == torch.float32
        assert losses.isfinite().all()
        assert (losses >= 0).all()
        losses.sum().backward()
        assert logits.grad is not None
        assert logits.grad.isfinite().all()
        assert logits.grad.any()
        for now, before in zip((logits, labels, counts), kept, strict=True):
            assert torch.equal(now, before)


def check_weight(weight: Weight, classes: int) -> None:
    """Assert shape, sign and order, and that nothing else moves."""
    counts = long_tail(classes)
    kept = counts.clone()
    with global_randomness_untouched():
        weights = weight.weights(counts)
    assert torch.equal(counts, kept)
    assert weights.shape == (classes,)
    assert weights.dtype == torch.float32
    assert weights.isfinite().all()
    assert (weights > 0).all()
    assert (weights.diff() >= 0).all(), "a rarer class weighs less"


def check_mix(mix: Mix, classes: int) -> Mixed:
    """Assert shapes and ranges, repeatability, and that nothing else moves; return the blended batch."""
    counts = long_tail(classes)
    images = torch.randn(24, 3, 8, 8, generator=generator(2))
    labels = torch.randint(classes, (24,), generator=generator())
    kept = images.clone(), labels.clone(), counts.clone()
    with global_randomness_untouched():
        mixed = mix.mix(images, labels, counts, generator(3))
    for now, before in zip((images, labels, counts), kept, strict=True):
        assert torch.equal(now, before)
    assert mixed.images.shape == images.shape
    assert mixed.images.dtype == images.dtype
    assert torch.equal(mixed.labels_a, labels)
    assert torch.equal(mixed.labels_b.sort()[0], labels.sort()[0])
    assert mixed.lam.shape == (24,)
    assert mixed.lam.dtype == images.dtype
    assert ((mixed.lam >= 0) & (mixed.lam <= 1)).all()
    again = mix.mix(images, labels, counts, generator(3))
    assert torch.equal(again.images, mixed.images)
    other = mix.mix(images, labels, counts, generator(4))
    assert not torch.equal(other.images, mixed.images)
    return mixed


def check_augment(augment: Augment, channels: int) -> None:
    """Assert shapes and range, repeatability, both ways of asking, and that nothing else moves."""
    stored = torch.randint(256, (12, channels, 16, 16), generator=generator(2), dtype=torch.uint8)
    images = stored / 255
    kept = images.clone(), stored.clone()
    with global_randomness_untouched():
        changed = augment.apply(images, generator())
        prepared = augment.prepare(stored)
        batch = augment.batch(prepared, torch.tensor([3, 0, 3]), generator())
        batch.zero_()
    assert torch.equal(images, kept[0])
    assert torch.equal(stored, kept[1]), "a batch shares memory with the store"
    assert changed.shape == images.shape
    assert changed.dtype == torch.float32
    assert 0 <= changed.min() <= changed.max() <= 1
    assert torch.equal(augment.apply(images, generator()), changed)
    indices = torch.tensor([5, 1, 1, 11])
    torch.testing.assert_close(
        augment.batch(prepared, indices, generator(5)), augment.apply(images[indices], generator(5)), rtol=0, atol=1e-6
    )
