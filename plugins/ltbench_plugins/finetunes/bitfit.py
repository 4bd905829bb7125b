"""Bias-term fine-tuning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltbench import Finetune, hookimpl
from ltbench_plugins.finetunes._class_means import WithClassifier

if TYPE_CHECKING:
    from torch import Tensor, nn


class BitFit(WithClassifier, frozen=True):
    """Train only the bias terms of the backbone, and the classifier.

    A bias is any term b of a layer W x + b or of a normalisation g * x + b. Batch normalisation updates its statistics, as
    its bias learns.
    Source: Ben Zaken et al., "BitFit: Simple Parameter-efficient Fine-tuning for Transformer-based Masked
    Language-models", ACL 2022, section 3 (all bias terms).
    """

    name = "bitfit"

    def learns(self, name: str, parameter: Tensor, module: nn.Module) -> bool:
        own = name.rpartition(".")[2]
        # Some of timm's attention layers have q_bias and v_bias.
        return own == "bias" or own.endswith("_bias")


@hookimpl
def ltbench_finetunes() -> list[type[Finetune]]:
    return [BitFit]
