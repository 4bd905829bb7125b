"""A small convolutional network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Meta, Model, hookimpl

if TYPE_CHECKING:
    from torch import nn


class ConvNet(Model, frozen=True):
    """A small plain convolutional network, for trainings of seconds.

    `depth` convolutions 3x3 with batch normalisation and ReLU. The first has `width` channels, each next one twice as
    many, and every one but the last halves height and width. The mean over the last map goes into one linear layer.
    With the defaults that is 23,946 parameters for images float [B, 1, 28, 28] and 10 classes. It takes images of any
    size that leaves one pixel after the halvings.

    Source: none; the plain pattern that VGG made common (Simonyan and Zisserman, Very Deep Convolutional Networks for
    Large-Scale Image Recognition, 2015) with the batch normalisation and global pooling of later networks.
    """

    name = "convnet"

    width: Annotated[int, Meta(ge=1, description="channels of the first convolution")] = 16
    depth: Annotated[int, Meta(ge=1, le=8, description="number of convolutions")] = 3

    def build(self, channels: int, size: int, classes: int) -> nn.Module:
        """Return the network: float [B, channels, size, size] -> logits float [B, classes]."""
        from ltbench_plugins.models._networks.convnet import ConvNetNetwork

        return ConvNetNetwork(channels, size, classes, self.width, self.depth)


@hookimpl
def ltbench_models() -> list[type[Model]]:
    return [ConvNet]
