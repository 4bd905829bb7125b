"""Linear classifier on features whose norm is raised to a power."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Head, Meta, Tune, hookimpl

if TYPE_CHECKING:
    from torch import Tensor, nn

LTBENCH_API = 1  # version of the ltbench hooks that this module implements


class MyHead(Head, frozen=True):
    """Linear classifier on features whose norm is raised to a power.

    With `power = 1` it is a linear layer, with `power = 0` only the direction of the features counts.

    Source: FILL IN (authors, title, year, equation).
    """

    name = "my_head"

    power: Annotated[float, Meta(ge=0, le=1, description="power of the norm of the features"), Tune(0.25, 1.0)] = 0.5

    def build(self, features: int, classes: int, counts: Tensor) -> nn.Module:
        """Return the classifier: features float [B, D] -> logits float [B, C]. counts: int64 [C]."""
        from torch import nn

        power = self.power

        class Layer(nn.Linear):
            def forward(self, rows: Tensor) -> Tensor:
                norm = rows.norm(dim=1, keepdim=True).clamp(min=1e-6)
                return super().forward(rows * norm ** (power - 1))

        return Layer(features, classes)


@hookimpl
def ltbench_heads() -> list[type[Head]]:
    return [MyHead]
