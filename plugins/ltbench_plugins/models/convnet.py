"""A small convolutional network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Meta, Model, hookimpl

if TYPE_CHECKING:
    from torch import nn


class ConvNet(Model, frozen=True):
    """A small plain convolutional network that trains in seconds.

    `depth` 3x3 convolutions with stride 2, batch normalisation and ReLU: the first has `width` channels, each further one
    twice as many. Global average pooling and one linear layer follow. Images may have any size.

    With the defaults, for images float [B, 1, 28, 28] and 10 classes, it has 25,154 parameters and 218,656
    multiply-adds. In a few seconds on a CPU it reaches a higher accuracy than a wider network or one that downsamples
    later.

    Source: none; the plain pattern that VGG made common (Simonyan and Zisserman, Very Deep Convolutional Networks for
    Large-Scale Image Recognition, 2015), with strides for its pooling as in Springenberg et al., Striving for
    Simplicity: The All Convolutional Net, 2015, and the batch normalisation and global pooling of later networks.
    """

    name = "convnet"
    has_blocks = True

    width: Annotated[int, Meta(ge=1, description="channels of the first convolution")] = 8
    depth: Annotated[int, Meta(ge=1, le=8, description="number of convolutions")] = 4

    def build(self, channels: int, size: int, classes: int) -> nn.Module:
        """Return the network: float [B, channels, size, size] -> logits float [B, classes]."""
        from ltbench_plugins.models._networks.convnet import ConvNetNetwork

        return ConvNetNetwork(channels, classes, self.width, self.depth)


@hookimpl
def ltbench_models() -> list[type[Model]]:
    return [ConvNet]
