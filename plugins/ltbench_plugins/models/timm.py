"""Every model of timm by name."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from types import new_class
from typing import TYPE_CHECKING, Annotated, ClassVar, cast

from ltbench import Meta, TimmNetwork, hookimpl
from ltbench.errors import ParameterError
from ltbench_plugins.models._frozen import Pretrainable
from ltbench_plugins.models._timm_names import has_blocks, is_transformer, timm_names

if TYPE_CHECKING:
    from torch import nn


class TimmModel(Pretrainable, frozen=True):
    """A model of timm, with its channels, image size and classes adapted.

    Images float [B, channels, size, size] -> logits float [B, classes]; parameters as in timm (efficientnet_b0 with
    10 classes: 4,020,358). Almost all models accept images of 32 pixels. The few that downsample too often or use fixed windows
    (inception_v3, halonet*, crossvit*) need larger ones; use `resize`. With pretrained weights, images are normalised
    with the mean and standard deviation of these weights.
    Source: Wightman, "PyTorch Image Models", https://github.com/huggingface/pytorch-image-models.
    """

    pretrained: Annotated[bool, Meta(description="start from pretrained weights of timm's hub")] = False
    tag: Annotated[str, Meta(description="which pretrained weights, such as ra2_in1k; timm's default if empty")] = ""
    resize: Annotated[int, Meta(ge=0, description="side in pixels to which images are resized; 0: not resized")] = 0

    def check(self) -> None:
        if self.tag and not self.pretrained:
            raise ParameterError(
                f"model '{self.name}' has tag = {self.tag}, which selects pretrained weights, but pretrained is false",
                fix=f"{self.name}[pretrained=true,tag={self.tag}]",
            )
        super().check()

    @property
    def is_at_hand(self) -> bool:
        if not self.pretrained:
            return True
        from ltbench_plugins.models._networks.timm_network import is_cached

        return is_cached(self._weights)

    def build(self, channels: int, size: int, classes: int) -> nn.Module:
        return self._build(channels, size, classes, pretrained=self.pretrained)

    def rebuild(self, channels: int, size: int, classes: int) -> nn.Module:
        return self._build(channels, size, classes, pretrained=False)

    def _build(self, channels: int, size: int, classes: int, *, pretrained: bool) -> nn.Module:
        from ltbench_plugins.models._networks.timm_network import build_timm

        return build_timm(
            self._weights, channels, size, classes, pretrained=pretrained, resize=self.resize, blocks=self.has_blocks
        )

    def in_timm(self, channels: int, size: int, classes: int) -> TimmNetwork:
        from ltbench_plugins.models._networks.timm_network import timm_arguments

        arguments = timm_arguments(self._weights, channels, self.resize or size, classes)
        return TimmNetwork(name=self._weights, arguments=arguments, resize=self.resize)

    def weights_licence(self) -> str | None:
        if not self.pretrained:
            return None
        from ltbench_plugins.models._networks.timm_network import pretrained_licence

        return pretrained_licence(self._weights)

    def mean_std(self, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
        if not self.pretrained:
            return None
        from ltbench_plugins.models._networks.timm_network import pretrained_mean_std

        return pretrained_mean_std(self._weights, channels)

    @property
    def _weights(self) -> str:
        return f"{self.name}.{self.tag}" if self.tag else self.name


class TimmFamily:
    """The models of timm."""

    requires: ClassVar[Mapping[str, str]] = {"timm": "pip install 'ltbench[train]'"}

    def names(self) -> Collection[str]:
        return timm_names()

    def technique(self, name: str) -> type[TimmModel]:
        return _made(name)


@cache
def _made(name: str) -> type[TimmModel]:
    about = (TimmModel.__doc__ or "").replace("A model of timm", f"{name} of timm", 1)
    body = {
        "name": name,
        "__doc__": about,
        "__module__": __name__,
        "has_blocks": has_blocks(name),
        "is_transformer": is_transformer(name),
    }
    return cast("type[TimmModel]", new_class(name, (TimmModel,), exec_body=lambda space: space.update(body)))


def __getattr__(name: str) -> type[TimmModel]:
    """Return the class of a model as an attribute of this module, which unpickling needs."""
    if not name.startswith("_") and name in timm_names():
        return _made(name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


@hookimpl
def ltbench_families() -> list[TimmFamily]:
    return [TimmFamily()]
