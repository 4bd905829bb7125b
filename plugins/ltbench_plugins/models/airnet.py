"""A small network that learns CIFAR in a few epochs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from ltbench import Meta, Model, ParameterGroup, hookimpl

if TYPE_CHECKING:
    from torch import nn

    from ltbench.stages import Batches


class AirNet(Model, frozen=True):
    """A network of seven convolutions that reaches a high accuracy in a few epochs.

    The first layer whitens patches of 2 x 2 pixels: its filters are the eigenvectors of the covariance of patches of
    training images, divided by the root of their eigenvalues, and their negatives; they stay fixed. Three groups follow
    with `width`, 3 `width` and 4 `width` channels, each of a 3x3 convolution, max pooling, batch normalisation and GELU, then
    another convolution, normalisation and GELU. Convolutions begin as the identity. A last pooling and a linear layer
    without bias follow; features are divided by `divisor`. Batch normalisation has no learnt scale, and its bias learns
    `bias_lr` times as fast, at the same decay.

    It is made for a recipe with the summed loss, Nesterov momentum and a linear schedule (suite `cifar10-lt`). Images
    must have at least 9 x 9 pixels.

    Source: Jordan, 94% on CIFAR-10 in 3.29 Seconds on a Single GPU, arXiv:2404.00498, 2024, section 3 (with widths 64, 256
    and 256, features divided by 9, and without its lookahead optimiser).
    """

    name = "airnet"
    has_blocks = True

    width: Annotated[int, Meta(ge=1, description="channels of the first group")] = 32
    divisor: Annotated[float, Meta(gt=0, description="by which features are divided; 9 in the source")] = 2.0
    bias_lr: Annotated[float, Meta(gt=0, description="learning rate of the biases of batch normalisation")] = 64.0

    def build(self, channels: int, size: int, classes: int) -> nn.Module:
        """Return the network: float [B, channels, size, size] -> logits float [B, classes]."""
        from ltbench_plugins.models._networks.airnet import AirNetNetwork

        return AirNetNetwork(channels, size, classes, (self.width, 3 * self.width, 4 * self.width), self.divisor)

    def groups(self, network: Any) -> Sequence[ParameterGroup]:
        """Return the parameters that do not learn, and the biases of batch normalisation."""
        from torch.nn import BatchNorm2d

        norms = [module for module in network.modules() if isinstance(module, BatchNorm2d)]
        return [
            ParameterGroup(parameters=[network.whiten.weight, *(norm.weight for norm in norms)], learns=False),
            ParameterGroup(parameters=[norm.bias for norm in norms], lr=self.bias_lr, decay=1 / self.bias_lr),
        ]

    def initialise(self, network: Any, images: Batches) -> None:
        """Whiten the patches of all training images; the source takes 5,000."""
        from ltbench_plugins.models._networks.airnet import whitening

        network.whiten.weight.copy_(whitening(batch for batch, _ in images))


@hookimpl
def ltbench_models() -> list[type[Model]]:
    return [AirNet]
