"""Bottlenecks beside the MLPs of a transformer."""

from __future__ import annotations

import math
from typing import cast

from timm.models.beit import Block as BeitBlock
from timm.models.swin_transformer import SwinTransformerBlock
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from ltbench.errors import JobFailed

_BLOCKS = (Block, BeitBlock, SwinTransformerBlock)
"""Blocks that return x' + MLP(norm2(x'))."""


class AdaptedMlp(nn.Module):
    """Normalisation and MLP of a block, and a bottleneck: x' float [B, T, D] -> the same shape."""

    def __init__(self, norm: nn.Module, mlp: nn.Module, width: int, scale: float, *, normalised: bool) -> None:
        super().__init__()
        self.norm, self.mlp = norm, mlp
        features = _features(mlp)
        down, up = nn.Linear(features, width), nn.Linear(width, features)
        # As Hu et al. (LoRA): random down, zero up.
        nn.init.kaiming_uniform_(down.weight, a=math.sqrt(5))
        for zero in (up.weight, down.bias, up.bias):
            nn.init.zeros_(zero)
        self.bottleneck = nn.Sequential(down, nn.ReLU(), up)
        self.scale, self.normalised = scale, normalised

    def forward(self, tokens: Tensor) -> Tensor:
        given: Tensor = self.norm(tokens)
        beside: Tensor = self.bottleneck(given if self.normalised else tokens)
        return cast("Tensor", self.mlp(given) + self.scale * beside)


def add_bottlenecks(network: nn.Module, width: int, scale: float, *, normalised: bool) -> nn.Module:
    """Add a bottleneck to each block, in place; return the network. Raises `JobFailed` if there are no such blocks."""
    blocks = [module for module in network.modules() if isinstance(module, _BLOCKS)]
    if not blocks:
        raise JobFailed(
            f"finetune 'adaptformer' finds nothing to adapt: {type(network).__name__} has no transformer blocks of timm",
            fix="use a ViT, DeiT, BEiT or Swin transformer, or another finetune",
        )
    for block in blocks:
        block.mlp = AdaptedMlp(block.norm2, block.mlp, width, scale, normalised=normalised)
        block.norm2 = nn.Identity()
    return network


def _features(mlp: nn.Module) -> int:
    return next(layer.in_features for layer in mlp.modules() if isinstance(layer, nn.Linear))
