"""The networks that the reports describe: layers, parameters, shapes."""

from __future__ import annotations

import re

import pytest
import torch
from plugins.checks import build, parameters, shape
from support import python
from torch import nn

from ltbench.errors import DataError
from ltbench_plugins.models._networks.resnet_cifar import Block

OWN = ("cnn_cifar", "convnet9", "resnet20", "resnet32", "resnet44", "resnet56")


@pytest.mark.parametrize("classes", [2, 1000])
@pytest.mark.parametrize(("channels", "size"), [(1, 28), (3, 32), (3, 50), (1, 33)])
@pytest.mark.parametrize("name", OWN)
def test_logits_have_a_column_for_each_class(registry, name: str, channels: int, size: int, classes: int) -> None:
    network = build(registry, name, channels, size, classes)
    assert shape(network, channels, size) == (2, classes)
    classifier = network.get_classifier()
    assert isinstance(classifier, nn.Linear)
    assert classifier.out_features == classes


@pytest.mark.parametrize(("name", "least"), [("cnn_cifar", 10), ("convnet9", 8)])
def test_an_image_that_is_too_small_is_an_error_that_says_how_large_it_has_to_be(
    registry, name: str, least: int
) -> None:
    network = build(registry, name, 3, least)
    assert shape(network, 3, least) == (2, 10)
    with pytest.raises(DataError, match=f"needs images of at least {least} x {least} pixels"):
        build(registry, name, 3, least - 1)


# --- cnn_cifar --------------------------------------------------------------------------------------------------

FIGURE_9 = """
(feature): Sequential(
(0): Conv2d(3, 64, kernel_size=(3, 3), stride=(1, 1), padding=(2, 2))
(1): BatchNorm2d(64, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)
(2): ReLU()
(3): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)
(4): Conv2d(64, 128, kernel_size=(3, 3), stride=(1, 1), padding=(2, 2))
(5): BatchNorm2d(128, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)
(6): ReLU()
(7): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)
(8): Conv2d(128, 256, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
(9): BatchNorm2d(256, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)
(10): ReLU()
(11): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)
(12): Conv2d(256, 512, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
(13): BatchNorm2d(512, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)
(14): ReLU()
(15): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)
(16): Conv2d(512, 1024, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
(17): BatchNorm2d(1024, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)
(18): ReLU()
)
(classifier): Sequential(
(0): Flatten(start_dim=1, end_dim=-1)
(1): Linear(in_features=4096, out_features=8192, bias=True)
(2): ReLU()
(3): Dropout(p=0.5, inplace=False)
(4): Linear(in_features=8192, out_features=8192, bias=True)
(5): ReLU()
(6): Dropout(p=0.5, inplace=False)
(7): Linear(in_features=8192, out_features=50, bias=True)
)
"""


def test_cnn_cifar_is_the_network_that_report_jiang_prints(registry) -> None:
    printed = re.sub(r"^\s+", "", str(build(registry, "cnn_cifar", classes=50)), flags=re.MULTILINE)
    printed = printed.replace("affine=True, bias=True", "affine=True")  # newer versions of torch print one thing more
    assert printed.split("\n")[1:-1] == FIGURE_9.strip().split("\n")


def test_cnn_cifar_has_the_parameters_of_its_layers(registry) -> None:
    convolutions = [3 * 64, 64 * 128, 128 * 256, 256 * 512, 512 * 1024]
    widths = 64 + 128 + 256 + 512 + 1024
    linear = (4096 + 1) * 8192 + (8192 + 1) * 8192 + (8192 + 1) * 50
    assert linear == 101_089_330
    # Each width has a bias, and a scale and a shift of the batch normalisation.
    assert parameters(build(registry, "cnn_cifar", classes=50)) == 9 * sum(convolutions) + 3 * widths + linear
    assert parameters(build(registry, "cnn_cifar", classes=50)) == 107_363_890


# --- convnet9 ---------------------------------------------------------------------------------------------------


def test_convnet9_has_the_parameters_of_its_layers(registry) -> None:
    block1 = (27 + 1) * 32 + 2 * (288 + 1) * 32 + 3 * 64
    block2 = (288 + 1) * 64 + 2 * (576 + 1) * 64 + 3 * 128
    block3 = (576 + 1) * 128 + 2 * (1152 + 1) * 128 + 3 * 256
    shortcuts = 3 * 32 + 64 + 32 * 64 + 128
    assert parameters(build(registry, "convnet9")) == block1 + block2 + block3 + shortcuts + (128 * 16 + 1) * 10
    assert parameters(build(registry, "convnet9")) == 504_938


def test_convnet9_goes_from_convolution_to_relu_to_batch_norm_and_pools_at_the_end_of_a_block(registry) -> None:
    network = build(registry, "convnet9")
    for block, width in ((network.block1, 32), (network.block2, 64), (network.block3, 128)):
        layers = list(block)
        assert [type(layer) for layer in layers] == [nn.Conv2d, nn.ReLU, nn.BatchNorm2d] * 3 + [nn.MaxPool2d]
        convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
        assert [(c.kernel_size, c.stride, c.padding, c.out_channels) for c in convolutions] == [
            ((3, 3), (1, 1), (1, 1), width)
        ] * 3


@pytest.mark.parametrize("size", [32, 50])
def test_what_enters_the_first_two_blocks_of_convnet9_is_added_to_what_leaves_them(registry, size: int) -> None:
    torch.manual_seed(0)
    network = registry.parse("convnet9").build(3, size, 10).eval()
    for block in (network.block1, network.block2):
        nn.init.zeros_(block[-2].weight)  # the block's last batch normalisation: all that is left is the shortcut
    seen: list[torch.Tensor] = []
    network.block3.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    images = torch.randn(2, 3, size, size)
    network(images)
    once = images[:, :, ::2, ::2].permute(0, 2, 3, 1) @ network.shortcut1[0].weight[:, :, 0, 0].T
    half = size // 2 // 2 * 2
    twice = once[:, :half:2, :half:2] @ network.shortcut2[0].weight[:, :, 0, 0].T
    torch.testing.assert_close(seen[0], twice.permute(0, 3, 1, 2) / (1 + 1e-5), rtol=1e-4, atol=1e-5)


def test_convnet9_learns_in_the_layout_of_the_engine() -> None:
    # In a process of its own: what this guards against is memory that torch overwrites.
    code = """
import torch
from ltbench_plugins.models.convnet9 import ConvNet9
network = ConvNet9().build(3, 32, 10).to(memory_format=torch.channels_last)
for _ in range(3):
    images = torch.randn(32, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    network(images).sum().backward()
"""
    python(code)


# --- resnet -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "blocks", "published"),
    [("resnet20", 3, 0.27), ("resnet32", 5, 0.46), ("resnet44", 7, 0.66), ("resnet56", 9, 0.85)],
)
def test_a_resnet_has_the_published_number_of_parameters(registry, name: str, blocks: int, published: float) -> None:
    expected = 27 * 16 + 32 + blocks * 2 * (144 * 16 + 32)
    for before, width in ((16, 32), (32, 64)):
        expected += 9 * before * width + 2 * width + (2 * blocks - 1) * (9 * width * width + 2 * width)
    expected += 64 * 10 + 10
    found = parameters(build(registry, name))
    assert found == expected
    # Table 6 of the paper, in millions.
    assert round(found / 1e6, 2) == published


@pytest.mark.parametrize(("name", "layers"), [("resnet20", 20), ("resnet32", 32), ("resnet44", 44), ("resnet56", 56)])
def test_a_resnet_has_as_many_layers_as_its_name_says(registry, name: str, layers: int) -> None:
    weighted = [m for m in build(registry, name).modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(weighted) == layers


def test_resnet32_has_464154_parameters(registry) -> None:
    assert parameters(build(registry, "resnet32")) == 464_154


def test_the_shortcut_of_a_resnet_has_no_parameters_and_keeps_every_second_pixel() -> None:
    block = Block(2, 4)
    assert {name.split(".")[0] for name, _ in block.named_parameters()} == {"conv1", "bn1", "conv2", "bn2"}
    maps = torch.arange(2 * 3 * 3.0).reshape(1, 2, 3, 3)
    expected = torch.tensor([
        [[0.0, 0.0], [0.0, 0.0]],
        [[0.0, 2.0], [6.0, 8.0]],
        [[9.0, 11.0], [15.0, 17.0]],
        [[0.0, 0.0], [0.0, 0.0]],
    ])  # fmt: skip
    assert torch.equal(block.shortcut(maps)[0], expected)
    nn.init.zeros_(block.bn2.weight)
    assert torch.equal(block(maps)[0], expected)


def test_a_block_that_keeps_its_width_passes_its_input_on() -> None:
    block = Block(4, 4)
    maps = torch.randn(1, 4, 5, 5)
    assert block.shortcut(maps) is maps


# --- all of them ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["convnet", "convnet9", "resnet20"])
def test_one_seed_gives_one_network(registry, name: str) -> None:
    networks = []
    for _ in range(2):
        torch.manual_seed(3)
        networks.append(registry.parse(name).build(1, 28, 2))
    first, second = (n.state_dict() for n in networks)
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("name", ["convnet9", "resnet20"])
def test_every_parameter_learns(registry, name: str) -> None:
    torch.manual_seed(0)
    network = registry.parse(name).build(3, 32, 5)
    nn.functional.cross_entropy(network(torch.randn(4, 3, 32, 32)), torch.arange(4)).backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


@pytest.mark.parametrize("name", OWN)
def test_a_network_that_starts_from_nothing_is_fed_as_its_data_set_says(registry, name: str) -> None:
    assert registry.parse(name, "model").mean_std(3) is None
