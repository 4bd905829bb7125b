"""The device that is not there keeps torch's rules for two devices."""

from __future__ import annotations

import pytest
import torch

from ltbench.engine.fake_device import DEVICE, is_there, make_generator, pretending, there


@pytest.fixture
def guest() -> torch.Tensor:
    return there(torch.arange(6.0).view(2, 3))


def test_what_is_made_of_a_tensor_lies_where_it_lies(guest) -> None:
    with pretending():
        assert guest.device == DEVICE
        assert guest.is_cuda
        assert not torch.zeros(2).is_cuda
        made = [
            guest + 1, 2 * guest, guest.T, guest[0], guest.max(1)[0], guest.new_zeros(2), torch.zeros_like(guest),
            torch.stack([guest, guest]), guest.softmax(1), guest.long(), torch.arange(3, device=guest.device),
            guest.to(torch.float64), torch.ones(3).to(guest.device), torch.ones(3).to(guest), guest.clone().mul_(2),
        ]  # fmt: skip
    assert all(is_there(tensor) for tensor in made)


def test_what_is_made_without_a_device_lies_on_the_cpu(guest) -> None:
    with pretending():
        made = [torch.arange(3), torch.zeros(2, device="cpu"), guest.cpu(), guest.to("cpu"), guest.to(torch.ones(1))]
    assert not any(is_there(tensor) for tensor in made)


def test_tensors_of_two_devices_do_not_go_together(guest) -> None:
    with pretending():
        for wrong in (
            lambda: guest + torch.ones(3),
            lambda: torch.ones(2, 3).mul_(guest),
            lambda: torch.stack([guest, torch.ones(2, 3)]),
            lambda: torch.where(torch.ones(2, 3) > 0, guest, guest),
        ):
            with pytest.raises(RuntimeError, match="two devices"):
                wrong()
        assert is_there(guest * torch.tensor(2.0))  # a single number goes with any device
        assert is_there(guest[torch.tensor([1, 0])])  # and so do indices


def test_numpy_is_not_on_that_device(guest) -> None:
    import numpy as np

    with pretending():
        for wrong in (guest.numpy, lambda: np.asarray(guest)):
            with pytest.raises(TypeError, match="to numpy"):
                wrong()
        assert guest.tolist() == [[0, 1, 2], [3, 4, 5]]
        assert guest.cpu().numpy().shape == (2, 3)


def test_a_generator_draws_on_its_own_device_alone() -> None:
    with pretending():
        generator = make_generator(3)
        drawn = torch.rand(4, generator=generator, device=generator.device)
        with pytest.raises(RuntimeError, match="generator"):
            torch.randperm(4, generator=generator)
    assert is_there(drawn)
    assert drawn.tolist() == torch.rand(4, generator=torch.Generator().manual_seed(3)).tolist()


def test_gradients_go_through(guest) -> None:
    with pretending():
        leaf = guest.requires_grad_()
        (leaf**2).sum().backward()
        assert leaf.grad.device == DEVICE
    assert leaf.grad.tolist() == [[0, 2, 4], [6, 8, 10]]
