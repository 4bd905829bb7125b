from __future__ import annotations

import torch
from plugins.checks import generator

from ltbench_plugins.augments.no_augment import NoAugment


def test_images_stay_as_they_are_in_memory_of_their_own() -> None:
    stored = torch.randint(256, (6, 3, 8, 8), generator=generator(), dtype=torch.uint8)
    assert torch.equal(NoAugment().apply(stored / 255, generator()), stored / 255)
    batch = NoAugment().batch(NoAugment().prepare(stored), torch.tensor([2, 2]), generator())
    torch.testing.assert_close(batch, stored[[2, 2]] / 255)
    kept = stored.clone()
    batch.zero_()
    assert torch.equal(stored, kept)


def test_it_draws_nothing() -> None:
    drawing = generator()
    NoAugment().apply(torch.zeros(2, 1, 4, 4), drawing)
    assert torch.equal(drawing.get_state(), generator().get_state())
