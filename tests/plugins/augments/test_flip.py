from __future__ import annotations

import pytest
import scipy.stats
import torch
from plugins.checks import generator

from ltbench_plugins.augments.flip import Flip


@pytest.mark.parametrize("chance", [0.5, 0.3])
def test_each_image_is_mirrored_by_itself(chance: float) -> None:
    images = torch.rand(1, 3, 5, 5, generator=generator()).expand(2000, -1, -1, -1)
    changed = Flip(chance=chance).apply(images, generator(1))
    mirrored = (changed == images.flip(-1)).flatten(1).all(1)
    assert (mirrored | (changed == images).flatten(1).all(1)).all()
    assert scipy.stats.binomtest(int(mirrored.sum()), 2000, chance).pvalue > 1e-3


def test_always_and_never() -> None:
    images = torch.rand(4, 3, 5, 5, generator=generator())
    assert torch.equal(Flip(chance=1).apply(images, generator()), images.flip(-1))
    assert torch.equal(Flip(chance=0).apply(images, generator()), images)
