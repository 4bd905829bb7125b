"""The layers of airnet, and how its first one whitens."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from plugins.checks import generator, parameters
from torch import nn

from ltbench.errors import DataError
from ltbench.testing import checks
from ltbench_plugins.models._networks.airnet import EPS, AirNetNetwork, whitening
from ltbench_plugins.models.airnet import AirNet

test_it_conforms = checks(AirNet(width=4))


def network(**parameters: float) -> AirNetNetwork:
    built = AirNet(width=4, **parameters).build(3, 32, 10)
    assert isinstance(built, AirNetNetwork)
    return built


def correlated(number: int, size: int = 9) -> torch.Tensor:
    """Return images whose neighbouring pixels and channels resemble one another."""
    noise = torch.randn(number, 3, size + 1, size + 1, generator=generator())
    smooth = noise[..., 1:, 1:] + noise[..., :-1, 1:] + noise[..., 1:, :-1]
    return smooth + 0.5 * smooth.mean(1, keepdim=True) + 0.3


def patches_of(images: torch.Tensor) -> np.ndarray:
    """Return every patch of 2 x 2 pixels as a row, channel by channel."""
    rows = [
        images[:, :, top : top + 2, left : left + 2].reshape(len(images), -1)
        for top in range(images.shape[2] - 1)
        for left in range(images.shape[3] - 1)
    ]
    return torch.cat(rows).double().numpy()


@pytest.mark.parametrize(("channels", "size", "classes"), [(1, 28, 2), (3, 32, 100), (3, 9, 5), (3, 65, 10)])
def test_logits_for_images_of_any_size(channels: int, size: int, classes: int) -> None:
    built = AirNet(width=4).build(channels, size, classes).eval()
    assert built(torch.rand(2, channels, size, size)).shape == (2, classes)


def test_images_that_are_too_small_are_refused() -> None:
    with pytest.raises(DataError, match="needs images of at least 9 x 9 pixels"):
        AirNet().build(3, 8, 10)


def test_parameters_by_hand() -> None:
    whitened, widths = 24, [24, 4, 12, 16]
    convolutions = sum(9 * (before + after) * after for before, after in pairwise(widths))
    norms = sum(4 * after for after in widths[1:])
    assert parameters(network()) == whitened * 12 + whitened + convolutions + norms + 10 * 16


def test_the_first_layer_whitens_patches_of_training_images() -> None:
    images = correlated(40)
    filters = whitening([images[:15], images[15:]]).double().numpy().reshape(24, 12)
    covariance = np.cov(patches_of(images).T, bias=True)
    values = np.linalg.eigvalsh(covariance)[::-1]
    np.testing.assert_allclose(filters[:12] @ covariance @ filters[:12].T, np.diag(values / (values + EPS)), atol=1e-4)
    np.testing.assert_array_equal(filters[12:], -filters[:12])


def test_it_is_called_with_training_images_and_its_filters_stay() -> None:
    built, images = network(), correlated(20, 32)
    with torch.no_grad():
        AirNet(width=4).initialise(built, [(images[:8], None), (images[8:], None)])
    torch.testing.assert_close(built.whiten.weight.detach(), whitening([images]), rtol=1e-4, atol=1e-5)


def test_convolutions_begin_as_the_identity_as_far_as_channels_go() -> None:
    for group in network().groups:
        for layer in group.layers:
            if isinstance(layer, nn.Conv2d):
                before, after = layer.in_channels, layer.out_channels
                images = torch.randn(2, before, 5, 5, generator=generator())
                same = min(before, after)
                assert torch.equal(layer(images)[:, :same], images[:, :same])


def test_groups_are_what_does_not_learn_and_biases_of_normalisation() -> None:
    built = network()
    still, fast = AirNet(width=4, bias_lr=16.0).groups(built)
    norms = [module for module in built.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == 6
    assert not still.learns
    assert {id(p) for p in still.parameters} == {id(built.whiten.weight), *(id(norm.weight) for norm in norms)}
    assert {id(p) for p in fast.parameters} == {id(norm.bias) for norm in norms}
    assert (fast.lr, fast.decay) == (16.0, 1 / 16)


@pytest.mark.parametrize("divisor", [2.0, 9.0])
def test_logits_are_those_of_the_linear_layer_divided(divisor: float) -> None:
    built, images = network(divisor=divisor).eval(), torch.rand(4, 3, 32, 32, generator=generator())
    maps = built.forward_features(images)
    assert maps.shape == (4, 16, 3, 3)
    torch.testing.assert_close(built(images), maps.amax((2, 3)) @ built.classifier.weight.T / divisor)
