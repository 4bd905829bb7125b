"""A network of two convolutions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Meta, Model, hookimpl

if TYPE_CHECKING:
    from torch import nn

LTBENCH_API = 1  # version of the ltbench hooks that this module implements


class MyModel(Model, frozen=True):
    """Two convolutions of stride 2 with batch normalisation and ReLU, global average pooling, one linear layer.

    The first convolution has `width` channels, the second twice as many. It takes images of any size.

    Source: FILL IN (authors, title, year, section).
    """

    name = "my_model"

    width: Annotated[int, Meta(ge=1, description="channels of the first convolution")] = 16

    def build(self, channels: int, size: int, classes: int) -> nn.Module:
        """Return the network, freshly initialised: float [B, channels, size, size] -> logits float [B, classes]."""
        from torch import nn

        class Network(nn.Sequential):
            def get_classifier(self) -> nn.Module:
                """Return the last linear layer, which is trained alone while the backbone is frozen."""
                return self[-1]

        def halving(before: int, after: int) -> list[nn.Module]:
            return [nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]

        last = 2 * self.width
        features = [*halving(channels, self.width), *halving(self.width, last), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        return Network(*features, nn.Linear(last, classes))


@hookimpl
def ltbench_models() -> list[type[Model]]:
    return [MyModel]
