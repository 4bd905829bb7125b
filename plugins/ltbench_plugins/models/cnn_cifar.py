"""The plain convolutional network of report jiang."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltbench import Model, hookimpl

if TYPE_CHECKING:
    from torch import nn


class CnnCifar(Model, frozen=True):
    """Five convolutions and three linear layers, which have almost all parameters.

    Convolutions with 64, 128, 256, 512 and 1024 channels, each with batch normalisation and ReLU, the first four with max
    pooling; then 8192 and 8192 hidden units with dropout 0.5. For images float [B, 3, 32, 32] and 50 classes it has the
    layers printed in the report: 107,363,890 parameters, 101,089,330 of them in the linear layers. The image size, at
    least 10 x 10 pixels, only changes the first linear layer.
    Source: report jiang, figure 9.
    """

    name = "cnn_cifar"
    has_blocks = True

    def build(self, channels: int, size: int, classes: int) -> nn.Module:
        from ltbench_plugins.models._networks.cnn_cifar import CnnCifarNetwork

        return CnnCifarNetwork(channels, size, classes)


@hookimpl
def ltbench_models() -> list[type[Model]]:
    return [CnnCifar]
