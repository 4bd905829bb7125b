from __future__ import annotations

import pytest
from plugins.finetunes.networks import Convolutional, learning, size, vit_b16
from torch import nn

from ltbench_plugins.finetunes.norm_only import NormOnly


def test_scale_and_shift_of_every_layer_normalisation_of_a_vit_b16_learn() -> None:
    # By hand: two of 12 blocks and the last one, 768 scales and 768 shifts each.
    assert size(NormOnly(), vit_b16()) == 25 * 2 * 768 == 38_400


def test_scale_and_shift_of_batch_normalisation_learn() -> None:
    assert set(learning(NormOnly(), Convolutional())) == {"bn.weight", "bn.bias"}


def normalisations() -> list[nn.Module]:
    from timm.layers import BatchNormAct2d, GroupNormAct, LayerNorm2d, RmsNorm

    own = [nn.BatchNorm1d(4), nn.GroupNorm(2, 4), nn.LayerNorm(4), nn.InstanceNorm2d(4, affine=True), nn.RMSNorm(4)]
    return [*own, BatchNormAct2d(4), GroupNormAct(4, 2), LayerNorm2d(4), RmsNorm(4)]


@pytest.mark.parametrize("layer", normalisations(), ids=lambda layer: type(layer).__name__)
def test_normalisation_layers_of_torch_and_timm_are_known(layer: nn.Module) -> None:
    parameters = dict(layer.named_parameters(recurse=False))
    assert parameters
    assert all(NormOnly().learns(name, parameter, layer) for name, parameter in parameters.items())


@pytest.mark.parametrize("layer", [nn.Linear(2, 2), nn.Conv2d(2, 2, 1), nn.PReLU(), nn.Embedding(2, 2)], ids=str)
def test_other_layers_stay(layer: nn.Module) -> None:
    # Even if they are called norm.
    assert not any(NormOnly().learns(f"norm.{name}", one, layer) for name, one in layer.named_parameters())
