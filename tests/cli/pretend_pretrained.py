"""A plugin with a small network that pretends to be pretrained, so that `ltbench recommend` takes seconds."""

from __future__ import annotations

from typing import Annotated, Self

import msgspec
import torch
from torch import Tensor, nn

from ltbench import Meta, Model, hookimpl


class _Network(nn.Module):
    def __init__(self, channels: int, size: int, classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 8, 4, stride=4)
        with torch.random.fork_rng():
            torch.manual_seed(1)
            nn.init.normal_(self.conv.weight, std=0.05)
        nn.init.zeros_(self.conv.bias)
        self.head = nn.Linear(8 * (size // 4) ** 2, classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.conv(images).relu().flatten(1))

    def get_classifier(self) -> nn.Module:
        return self.head


class Pretend(Model, frozen=True):
    """A convolution with given weights and a linear layer.

    Source: none.
    """

    name = "pretend"

    frozen: Annotated[bool, Meta(description="whether only the classifier learns")] = False

    @property
    def is_pretrained(self) -> bool:
        return True

    @property
    def is_frozen(self) -> bool:
        return self.frozen

    def with_pretrained(self, *, frozen: bool) -> Self:
        return msgspec.structs.replace(self, frozen=frozen)

    def build(self, channels: int, size: int, classes: int) -> nn.Module:
        return _Network(channels, size, classes)


class Absent(Pretend, frozen=True):
    """The same, of which the weights cannot be had.

    Source: none.
    """

    name = "absent"

    def build(self, channels: int, size: int, classes: int) -> nn.Module:
        raise OSError("no weights here")


@hookimpl
def ltbench_models() -> list[type[Model]]:
    return [Pretend, Absent]
