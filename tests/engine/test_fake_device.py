"""The simulated device follows the rules of torch for two devices."""

from __future__ import annotations

import pytest
import torch

from ltbench.engine.fake_device import DEVICE, is_on_fake_device, make_generator, to_fake_device, two_device_rules


@pytest.fixture
def remote() -> torch.Tensor:
    return to_fake_device(torch.arange(6.0).view(2, 3))


def test_results_are_on_the_device_of_their_inputs(remote) -> None:
    with two_device_rules():
        assert remote.device == DEVICE
        assert remote.is_cuda
        assert not torch.zeros(2).is_cuda
        made = [
            remote + 1, 2 * remote, remote.T, remote[0], remote.max(1)[0], remote.new_zeros(2), torch.zeros_like(remote),
            torch.stack([remote, remote]), remote.softmax(1), remote.long(), torch.arange(3, device=remote.device),
            remote.to(torch.float64), torch.ones(3).to(remote.device), torch.ones(3).to(remote), remote.clone().mul_(2),
        ]  # fmt: skip
    assert all(is_on_fake_device(tensor) for tensor in made)


def test_tensors_created_without_a_device_are_on_the_cpu(remote) -> None:
    with two_device_rules():
        made = [
            torch.arange(3),
            torch.zeros(2, device="cpu"),
            remote.cpu(),
            remote.to("cpu"),
            remote.to(torch.ones(1)),
        ]
    assert not any(is_on_fake_device(tensor) for tensor in made)


def test_operations_on_tensors_of_both_devices_raise(remote) -> None:
    with two_device_rules():
        for wrong in (
            lambda: remote + torch.ones(3),
            lambda: torch.ones(2, 3).mul_(remote),
            lambda: torch.stack([remote, torch.ones(2, 3)]),
            lambda: torch.where(torch.ones(2, 3) > 0, remote, remote),
        ):
            with pytest.raises(RuntimeError, match="two devices"):
                wrong()
        assert is_on_fake_device(remote * torch.tensor(2.0))  # CPU scalars go with any device
        assert is_on_fake_device(remote[torch.tensor([1, 0])])  # and so do CPU indices


def test_numpy_refuses_its_tensors(remote) -> None:
    import numpy as np

    with two_device_rules():
        for wrong in (remote.numpy, lambda: np.asarray(remote)):
            with pytest.raises(TypeError, match="to numpy"):
                wrong()
        assert remote.tolist() == [[0, 1, 2], [3, 4, 5]]
        assert remote.cpu().numpy().shape == (2, 3)


def test_a_generator_only_draws_on_its_own_device() -> None:
    with two_device_rules():
        generator = make_generator(3)
        drawn = torch.rand(4, generator=generator, device=generator.device)
        with pytest.raises(RuntimeError, match="generator"):
            torch.randperm(4, generator=generator)
    assert is_on_fake_device(drawn)
    assert drawn.tolist() == torch.rand(4, generator=torch.Generator().manual_seed(3)).tolist()


def test_gradients_are_on_the_device_of_their_tensor(remote) -> None:
    with two_device_rules():
        leaf = remote.requires_grad_()
        (leaf**2).sum().backward()
        assert leaf.grad.device == DEVICE
    assert leaf.grad.tolist() == [[0, 2, 4], [6, 8, 10]]
