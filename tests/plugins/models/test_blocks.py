"""Blocks: the modules that, one after the other, make the features of images."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from ltbench_plugins.models._timm_names import has_blocks

OWN = ("cnn_cifar", "convnet", "convnet9", "resnet20", "resnet32")

FROM_TIMM = ("resnet18", "resnet10t", "resnet50d", "efficientnet_b0", "mobilenetv3_small_050", "convnext_atto")
RESIZED = (
    "resnet18[resize=40]",
    "efficientnet_lite0[resize=40,pretrained=false]",
    "efficientnet_lite0[pretrained=false]",
)


def build(registry, name: str) -> nn.Module:
    """Return the network of a model with weights."""
    torch.manual_seed(0)
    return registry.parse(name, "model").build(3, 32, 10)


@pytest.mark.parametrize("name", [*OWN, *FROM_TIMM, *RESIZED])
def test_blocks_make_the_features_and_the_head_makes_logits_of_them(registry, name: str) -> None:
    assert registry.parse(name, "model").has_blocks
    network = build(registry, name).eval()
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    maps = images
    with torch.no_grad():
        for block in network.blocks():
            maps = block(maps)
        assert torch.equal(maps, network.forward_features(images))
        assert torch.equal(network.forward_head(maps), network(images))
        rows = network.forward_head(maps, pre_logits=True)
        assert torch.equal(network.get_classifier()(rows), network(images))


@pytest.mark.parametrize("name", [*OWN, *FROM_TIMM, *RESIZED])
def test_every_parameter_but_those_of_the_head_is_in_one_block(registry, name: str) -> None:
    network = build(registry, name)
    blocks = network.blocks()
    in_blocks = [id(p) for block in blocks for p in block.parameters()]
    assert len(in_blocks) == len(set(in_blocks))
    others = {name for name, p in network.named_parameters() if id(p) not in set(in_blocks)}
    head = ("classifier.", "fc.", "head.", "conv_head.", "norm_head.", "network.fc.", "network.classifier.")
    assert all(other.startswith(head) for other in others)
    assert len(blocks) >= 2


def test_blocks_of_a_copy_are_those_of_the_copy(registry) -> None:
    for name in ("convnet9", "efficientnet_b0"):
        network = build(registry, name).eval()
        other = copy.deepcopy(network)
        nn.init.zeros_(next(other.blocks()[1].parameters()))
        images = torch.rand(2, 3, 32, 32)
        with torch.no_grad():
            assert not torch.equal(network(images), other(images))


def test_a_residual_network_has_its_stem_and_three_stages_as_blocks(registry) -> None:
    blocks = build(registry, "resnet32").blocks()
    assert [len(block) for block in blocks] == [3, 5, 5, 5]


def test_transformers_have_no_blocks(registry) -> None:
    # Their position embedding is no module: stem and stages are not all that makes the features.
    assert not has_blocks("vit_tiny_patch16_224")
    assert not registry.parse("vit_tiny_patch16_224", "model").has_blocks


def test_names_of_parameters_are_those_of_timm(registry) -> None:
    import timm

    plain = timm.create_model("efficientnet_b0", num_classes=10)
    assert list(build(registry, "efficientnet_b0").state_dict()) == list(plain.state_dict())


def test_names_of_parameters_do_not_change(registry) -> None:
    names = list(build(registry, "convnet9").state_dict())
    assert names[0] == "block1.0.weight"
    assert not any("_blocks" in name for name in names)
    assert "shortcut2.1.running_var" in names
