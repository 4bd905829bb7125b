from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from plugins.checks import parameters
from torch import nn

from ltbench.engine.measured_cost import multiply_adds
from ltbench_plugins.models.convnet import ConvNet


@pytest.mark.parametrize(("channels", "size", "classes"), [(1, 28, 2), (1, 28, 10), (3, 32, 1000), (3, 65, 100)])
def test_logits_for_images_of_any_size(channels: int, size: int, classes: int) -> None:
    network = ConvNet().build(channels, size, classes).eval()
    assert network(torch.rand(2, channels, size, size)).shape == (2, classes)


def test_the_classifier_is_the_last_linear_layer() -> None:
    head = ConvNet().build(1, 28, 10).get_classifier()
    assert isinstance(head, nn.Linear)
    assert head.out_features == 10


@pytest.mark.parametrize("width", [4, 16])
@pytest.mark.parametrize("depth", [1, 3])
def test_parameters_by_hand(width: int, depth: int) -> None:
    widths = [1, *(width * 2**d for d in range(depth))]
    convolutions = sum(9 * before * after for before, after in pairwise(widths))
    norms = sum(2 * after for after in widths[1:])
    network = ConvNet(width=width, depth=depth).build(1, 28, 10)
    assert parameters(network) == convolutions + norms + widths[-1] * 10 + 10


def test_the_numbers_in_its_docstring() -> None:
    network = ConvNet().build(1, 28, 10)
    macs, _ = multiply_adds(network, torch.zeros(1, 1, 28, 28))
    assert f"{parameters(network):,} parameters and {macs:,}" in " ".join((ConvNet.__doc__ or "").split())


def test_images_of_a_single_pixel_are_enough() -> None:
    assert ConvNet().build(1, 1, 10).eval()(torch.rand(1, 1, 1, 1)).shape == (1, 10)
