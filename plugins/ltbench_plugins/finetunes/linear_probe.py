"""Linear probing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from ltbench import Finetune, hookimpl
from ltbench_plugins.finetunes._class_means import WithClassifier

if TYPE_CHECKING:
    from torch import Tensor, nn


class LinearProbe(WithClassifier, frozen=True):
    """Train only the classifier, on the features of a frozen backbone.

    The backbone is in evaluation mode: without dropout, and with the batch statistics that it came with. If images are not
    augmented, their features are computed once.
    Source: Alain and Bengio, "Understanding intermediate layers using linear classifier probes", ICLR workshop 2017; as
    "classifier fine-tuning" in Shi et al. (LIFT), ICML 2024, section 3.
    """

    name = "linear_probe"
    conflicts: ClassVar[Mapping[str, str]] = {
        "etf": "both the backbone and the weights of etf are fixed, so that nothing would learn"
    }
    trainable = "classifier"

    def learns(self, name: str, parameter: Tensor, module: nn.Module) -> bool:
        return False


@hookimpl
def ltbench_finetunes() -> list[type[Finetune]]:
    return [LinearProbe]
