"""The convolutional network of report rivadeneira."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltbench import Model, hookimpl

if TYPE_CHECKING:
    from torch import nn


class ConvNet9(Model, frozen=True):
    """Nine convolutions in three blocks of 32, 64 and 128 channels, with projection shortcuts over the first two.

    Each convolution is 3x3 with stride 1 and padding 1, followed by ReLU, then batch normalisation. Each block ends with
    max pooling; one linear layer follows the flattened last map. For images float [B, 3, 32, 32] and 10 classes it has
    504,938 parameters. Images must have at least 8 x 8 pixels.

    The report describes the residuals in words: "added after the 3rd layer, and 6th layer", with "a convolution and a
    batch normalization applied to the residual" that serve "to downsample and match dimensions". This
    implementation adds the input of a block to its output after pooling, through a 1x1 convolution with stride 2 and
    batch normalisation (the projection shortcut of He et al., 2016). The report does not describe the classifier; one
    linear layer is the simplest choice.
    Source: report rivadeneira, part 1, model design description.
    """

    name = "convnet9"
    has_blocks = True

    def build(self, channels: int, size: int, classes: int) -> nn.Module:
        from ltbench_plugins.models._networks.convnet9 import ConvNet9Network

        return ConvNet9Network(channels, size, classes)


@hookimpl
def ltbench_models() -> list[type[Model]]:
    return [ConvNet9]
