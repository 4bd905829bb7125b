"""Training of the whole network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltbench import Finetune, hookimpl

if TYPE_CHECKING:
    from torch import Tensor, nn


class Full(Finetune, frozen=True):
    """Train every parameter of the network.

    The baseline of the stage.

    Source: none; the reference for lightweight fine-tuning, Shi et al. (LIFT), ICML 2024, section 3 ("full fine-tuning").
    """

    name = "full"
    baseline = True

    def learns(self, name: str, parameter: Tensor, module: nn.Module) -> bool:
        return True


@hookimpl
def ltbench_finetunes() -> list[type[Finetune]]:
    return [Full]
