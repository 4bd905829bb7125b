from __future__ import annotations

import pytest
import torch
from plugins.checks import assert_distributed, generator, labels_of

from ltbench import Moment
from ltbench.testing import checks
from ltbench_plugins.samplers.progressive import Progressive

COUNTS = torch.tensor([600, 300, 90, 10])
LABELS = labels_of(COUNTS)

test_it_conforms = checks(Progressive())


def classes_drawn(part: float, epochs: int = 40) -> torch.Tensor:
    """Return how often each class is drawn after this part of a training."""
    sampler, stream = Progressive(), generator(1)
    moment = Moment(epoch=int(100 * part), epochs=100.0, step=int(1000 * part), steps=1000)
    pool = torch.arange(len(LABELS))
    drawn = [sampler.epoch_at(pool, LABELS, COUNTS, 32, moment, stream) for _ in range(epochs)]
    return LABELS[torch.cat(drawn)].bincount(minlength=4)


@pytest.mark.parametrize(
    ("part", "shares"),
    [
        (0.0, [0.6, 0.3, 0.09, 0.01]),  # those of the images
        # By hand, with t / T = 0.4: 0.6 * 0.6 + 0.4 / 4 = 0.46, 0.18 + 0.1, 0.054 + 0.1, 0.006 + 0.1.
        (0.4, [0.46, 0.28, 0.154, 0.106]),
        (0.99, [0.2535, 0.2505, 0.2484, 0.2476]),
    ],
)
def test_shares_move_from_those_of_the_images_to_equal_ones(part: float, shares: list[float]) -> None:
    assert_distributed(classes_drawn(part), shares)


def test_images_of_a_class_are_drawn_alike() -> None:
    sampler, stream = Progressive(), generator(1)
    moment = Moment(epoch=5, epochs=10.0, step=50, steps=100)
    pool = torch.arange(len(LABELS))
    drawn = torch.cat([sampler.epoch_at(pool, LABELS, COUNTS, 32, moment, stream) for _ in range(30)])
    of_class = drawn[LABELS[drawn] == 2].bincount(minlength=len(LABELS))[LABELS == 2]
    assert_distributed(of_class, [1] * 90)


def test_an_epoch_is_as_long_as_the_pool_and_empty_classes_are_never_drawn() -> None:
    counts = torch.tensor([20, 0, 4])
    labels = torch.tensor([0] * 20 + [2] * 4)
    moment = Moment(epoch=9, epochs=10.0, step=90, steps=100)
    epoch = Progressive().epoch_at(torch.arange(24), labels, counts, 8, moment, generator())
    assert len(epoch) == 24
    assert set(labels[epoch].tolist()) == {0, 2}
