"""Low-rank adaptation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from ltbench import Finetune, Meta, NotTuned, Tune, hookimpl
from ltbench_plugins.finetunes._class_means import WithClassifier

if TYPE_CHECKING:
    from torch import Tensor, nn


class Lora(WithClassifier, frozen=True):
    """Train a low-rank change of weight matrices, and the classifier.

    A layer computes W x + alpha / r * B A x (equation 3), with A of r rows and B of r columns. A is random and B is zero at
    the start, so that the network starts as it was. As in the paper, W are the projections to queries and values of each
    attention layer; in a network without attention, or with `layers = all`, every linear layer and every convolution without
    groups of the backbone.
    Source: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022, equation 3 and sections 4.2 and 5.1;
    r = alpha = 8 as for RoBERTa-base (table 9). By the library peft.
    """

    name = "lora"
    requires: ClassVar[Mapping[str, str]] = {"peft": "pip install 'ltbench[finetune]'"}
    rank: Annotated[int, Meta(ge=1, description="rank r of the change"), NotTuned("decides the cost")] = 8
    alpha: Annotated[
        float, Meta(gt=0, description="factor of the change, divided by the rank"), Tune(2.0, 32.0, log=True)
    ] = 8.0
    layers: Annotated[
        Literal["attention", "all"],
        Meta(description="what is adapted: queries and values, or every layer of the backbone"),
    ] = "attention"

    def adapt(self, network: nn.Module) -> nn.Module:
        from ltbench_plugins.finetunes._low_rank import add_low_rank

        return add_low_rank(network, self.rank, self.alpha, attention=self.layers == "attention")

    def learns(self, name: str, parameter: Tensor, module: nn.Module) -> bool:
        return ".lora_A." in name or ".lora_B." in name


@hookimpl
def ltbench_finetunes() -> list[type[Finetune]]:
    return [Lora]
