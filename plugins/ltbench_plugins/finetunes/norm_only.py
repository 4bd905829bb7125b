"""Fine-tuning of normalisation layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltbench import Finetune, hookimpl
from ltbench_plugins.finetunes._class_means import WithClassifier

if TYPE_CHECKING:
    from torch import Tensor, nn


class NormOnly(WithClassifier, frozen=True):
    """Train only scale and shift of the normalisation layers of the backbone, and the classifier.

    Of batch, layer, group, instance and RMS normalisation. Batch normalisation also updates its statistics.
    Source: Frankle, Schwab and Morcos, "Training BatchNorm and Only BatchNorm: On the Expressive Power of Random Features
    in CNNs", ICLR 2021, section 3; of transformers (LN-tuning) Basu et al., "Strong Baselines for Parameter-Efficient Few-Shot
    Fine-Tuning", AAAI 2024.
    """

    name = "norm_only"

    def learns(self, name: str, parameter: Tensor, module: nn.Module) -> bool:
        # By name, because libraries have normalisation layers of their own: LayerNorm2d, BatchNormAct2d, RmsNorm.
        return any("norm" in kind.__name__.lower() for kind in type(module).__mro__)


@hookimpl
def ltbench_finetunes() -> list[type[Finetune]]:
    return [NormOnly]
