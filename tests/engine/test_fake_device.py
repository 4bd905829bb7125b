"""The simulated device follows the rules of torch for two devices."""

from __future__ import annotations

import pytest
import torch

from ltbench.engine.fake_device import DEVICE, is_on_fake_device, make_generator, to_fake_device, two_device_rules


@pytest.fixture
def fake_tensor() -> torch.Tensor:
    return to_fake_device(torch.arange(6.0).view(2, 3))


def test_results_are_on_the_device_of_their_inputs(fake_tensor) -> None:
    with two_device_rules():
        assert fake_tensor.device == DEVICE
        assert fake_tensor.is_cuda
        assert not torch.zeros(2).is_cuda
        made = [
            fake_tensor + 1, 2 * fake_tensor, fake_tensor.T, fake_tensor[0], fake_tensor.max(1)[0], fake_tensor.new_zeros(2), torch.zeros_like(fake_tensor),
            torch.stack([fake_tensor, fake_tensor]), fake_tensor.softmax(1), fake_tensor.long(), torch.arange(3, device=fake_tensor.device),
            fake_tensor.to(torch.float64), torch.ones(3).to(fake_tensor.device), torch.ones(3).to(fake_tensor), fake_tensor.clone().mul_(2),
        ]  # fmt: skip
    assert all(is_on_fake_device(tensor) for tensor in made)


def test_tensors_created_without_a_device_are_on_the_cpu(fake_tensor) -> None:
    with two_device_rules():
        made = [
            torch.arange(3),
            torch.zeros(2, device="cpu"),
            fake_tensor.cpu(),
            fake_tensor.to("cpu"),
            fake_tensor.to(torch.ones(1)),
        ]
    assert not any(is_on_fake_device(tensor) for tensor in made)


def test_operations_on_tensors_of_both_devices_raise(fake_tensor) -> None:
    with two_device_rules():
        for wrong in (
            lambda: fake_tensor + torch.ones(3),
            lambda: torch.ones(2, 3).mul_(fake_tensor),
            lambda: torch.stack([fake_tensor, torch.ones(2, 3)]),
            lambda: torch.where(torch.ones(2, 3) > 0, fake_tensor, fake_tensor),
        ):
            with pytest.raises(RuntimeError, match="two devices"):
                wrong()
        assert is_on_fake_device(fake_tensor * torch.tensor(2.0))  # CPU scalars go with any device
        assert is_on_fake_device(fake_tensor[torch.tensor([1, 0])])  # and so do CPU indices


def test_numpy_refuses_its_tensors(fake_tensor) -> None:
    import numpy as np

    with two_device_rules():
        for wrong in (fake_tensor.numpy, lambda: np.asarray(fake_tensor)):
            with pytest.raises(TypeError, match="to numpy"):
                wrong()
        assert fake_tensor.tolist() == [[0, 1, 2], [3, 4, 5]]
        assert fake_tensor.cpu().numpy().shape == (2, 3)


def test_a_generator_only_draws_on_its_own_device() -> None:
    with two_device_rules():
        generator = make_generator(3)
        drawn = torch.rand(4, generator=generator, device=generator.device)
        with pytest.raises(RuntimeError, match="generator"):
            torch.randperm(4, generator=generator)
    assert is_on_fake_device(drawn)
    assert drawn.tolist() == torch.rand(4, generator=torch.Generator().manual_seed(3)).tolist()


def test_gradients_are_on_the_device_of_their_tensor(fake_tensor) -> None:
    with two_device_rules():
        leaf = fake_tensor.requires_grad_()
        (leaf**2).sum().backward()
        assert leaf.grad.device == DEVICE
    assert leaf.grad.tolist() == [[0, 2, 4], [6, 8, 10]]
