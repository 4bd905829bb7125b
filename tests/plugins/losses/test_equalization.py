from __future__ import annotations

import math

import pytest
import torch
from plugins.checks import generator

from ltbench import Mixed, Moment, Outputs
from ltbench_plugins.losses.cross_entropy import CrossEntropy
from ltbench_plugins.losses.equalization import Equalization

COUNTS = torch.tensor([900, 95, 5])
START = Moment(epoch=0, epochs=1, step=0, steps=1)


def outputs(*branches: torch.Tensor, seed: int = 3) -> Outputs:
    """Return the outputs of a network with these logits, one or one of each branch."""
    logits = torch.stack(branches)
    state = {"seed": torch.tensor(seed)}
    return Outputs(logits=logits.mean(0), branches=logits, features=None, layers=(), state=state)


def losses(loss: Equalization, logits: torch.Tensor, labels: torch.Tensor, seed: int = 3) -> torch.Tensor:
    return loss.of(outputs(logits, seed=seed), labels, COUNTS, START)


def test_by_hand_where_every_rare_class_is_ignored() -> None:
    # Shares 0.9, 0.095 and 0.005; 1 / 6 of the images: classes 1 and 2 are rare. Odds 1 : 2 : 3.
    logits, labels = torch.tensor([[0.0, math.log(2), math.log(3)]]).expand(3, 3), torch.arange(3)
    # 1 / 1, 2 / (1 + 2) and 3 / (1 + 3): a label is never ignored.
    found = losses(Equalization(gamma=1), logits, labels)
    assert found.tolist() == pytest.approx([0, math.log(3 / 2), math.log(4 / 3)], abs=1e-6)
    # Below 0.01 only class 2 is rare: 1 / (1 + 2), 2 / (1 + 2) and 3 / 6.
    found = losses(Equalization(gamma=1, threshold=0.01), logits, labels)
    assert found.tolist() == pytest.approx([math.log(3), math.log(3 / 2), math.log(2)])


def test_never_ignoring_a_class_is_cross_entropy() -> None:
    logits, labels = torch.randn(20, 3, generator=generator()), torch.arange(20) % 3
    expected = CrossEntropy().per_sample(logits, labels, COUNTS)
    torch.testing.assert_close(losses(Equalization(gamma=0), logits, labels), expected)


def test_the_threshold_by_default_is_that_of_the_authors_for_a_hundred_classes() -> None:
    counts = torch.tensor([*[100] * 98, 51, 49])  # of 9,900 images: shares of 0.00515 and 0.00495
    logits = torch.zeros(1, 100)
    loss = Equalization(gamma=1).of(outputs(logits), torch.tensor([0]), counts, START)
    assert float(loss) == pytest.approx(math.log(99))


@pytest.mark.parametrize("gamma", [0.9, 0.3])
def test_a_rare_class_is_ignored_in_that_share_of_images_and_steps(gamma: float) -> None:
    logits, labels = torch.randn(2000, 3, generator=generator()), torch.zeros(2000, dtype=torch.int64)
    leaf = logits.requires_grad_()
    losses(Equalization(gamma=gamma), leaf, labels).sum().backward()
    assert leaf.grad is not None
    ignored = leaf.grad == 0
    assert not ignored[:, 0][~ignored[:, 1:].all(1)].any()
    first, second = ignored[:, 1].float(), ignored[:, 2].float()
    assert [float(first.mean()), float(second.mean())] == pytest.approx([gamma, gamma], abs=0.04)
    # The classes are drawn independently.
    assert float((first * second).mean()) == pytest.approx(gamma**2, abs=0.04)


def test_every_step_draws_anew_and_a_seed_always_the_same() -> None:
    logits, labels, loss = (
        torch.randn(200, 3, generator=generator()),
        torch.zeros(200, dtype=torch.int64),
        Equalization(),
    )
    state = loss.remembers(8, 3, COUNTS, generator(5))
    after = loss.after_step(outputs(logits), Mixed(None, labels, labels, None), torch.nn.Identity(), state)
    first, again, other = (losses(loss, logits, labels, seed=int(s["seed"])) for s in (state, state, after))
    assert torch.equal(first, again)
    assert 0.1 < float((first != other).float().mean()) < 0.6  # 1 - (0.9 ** 2 + 0.1 ** 2) ** 2 is 0.33


def test_the_loss_of_an_image_does_not_depend_on_its_place() -> None:
    logits, labels = torch.randn(50, 3, generator=generator()), torch.arange(50) % 3
    whole = losses(Equalization(), logits, labels)
    assert torch.equal(whole.flip(0), losses(Equalization(), logits.flip(0), labels.flip(0)))


def test_with_branches_it_is_the_mean_of_theirs() -> None:
    logits, labels = torch.randn(2, 9, 3, generator=generator()), torch.arange(9) % 3
    both = Equalization().of(outputs(*logits), labels, COUNTS, START)
    torch.testing.assert_close(
        both, (losses(Equalization(), logits[0], labels) + losses(Equalization(), logits[1], labels)) / 2
    )
