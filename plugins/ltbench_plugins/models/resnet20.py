"""ResNet-20 for small images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltbench import Model, hookimpl

if TYPE_CHECKING:
    from torch import nn


class ResNet20(Model, frozen=True):
    """ResNet for CIFAR with 20 layers: three stages of 3 blocks with 16, 32 and 64 channels.

    Shortcuts have no parameters (option A: every second pixel, zero padding of channels). Images may have any size. For
    images float [B, 3, 32, 32] and 10 classes: 269,722 parameters.
    Source: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2 and table 6.
    """

    name = "resnet20"
    has_blocks = True

    def build(self, channels: int, size: int, classes: int) -> nn.Module:
        from ltbench_plugins.models._networks.resnet_cifar import ResNetCifar

        return ResNetCifar(3, channels, classes)


@hookimpl
def ltbench_models() -> list[type[Model]]:
    return [ResNet20]
