"""Fine-tuning of the small parameters of a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Finetune, Meta, Tune, hookimpl

if TYPE_CHECKING:
    from torch import Tensor, nn

LTBENCH_API = 1  # version of the ltbench hooks that this module implements


class MyFinetune(Finetune, frozen=True):
    """Train the parameters of few dimensions, and the classifier.

    One dimension: biases, and scale and shift of normalisation layers. Two: also the matrices of linear layers.

    Source: FILL IN (authors, title, year, section).
    """

    name = "my_finetune"

    dimensions: Annotated[
        int, Meta(ge=1, le=3, description="parameters of at most so many dimensions learn"), Tune(1, 3)
    ] = 1

    def learns(self, name: str, parameter: Tensor, module: nn.Module) -> bool:
        """Whether a parameter of the backbone learns; the classifier always does."""
        return parameter.dim() <= self.dimensions


@hookimpl
def ltbench_finetunes() -> list[type[Finetune]]:
    return [MyFinetune]
