"""Networks to fine-tune, and the parameters that learn."""

from __future__ import annotations

import torch
from torch import nn

from ltbench import Finetune


def vit_b16() -> nn.Module:
    """Return a ViT-B/16 without memory for its weights."""
    from timm.models.vision_transformer import VisionTransformer

    with torch.device("meta"):
        return VisionTransformer(num_classes=10)


def small_vit() -> nn.Module:
    """Return a vision transformer with two blocks of width 6, in evaluation mode."""
    from timm.models.vision_transformer import VisionTransformer

    torch.manual_seed(0)
    return VisionTransformer(img_size=8, patch_size=4, num_classes=3, embed_dim=6, depth=2, num_heads=2).eval()


class Convolutional(nn.Module):
    """A convolution, one with groups, batch normalisation and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, bias=False)
        self.grouped = nn.Conv2d(4, 4, 3, groups=4)
        self.bn = nn.BatchNorm2d(4)
        self.fc = nn.Linear(4, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.fc(self.bn(self.grouped(self.conv(images))).relu().mean((2, 3)))

    def get_classifier(self) -> nn.Module:
        return self.fc


def learning(finetune: Finetune, network: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters of the backbone that learn, by name."""
    head = set(network.get_classifier().modules())
    owners = {
        (f"{prefix}.{name}" if prefix else name): (parameter, module)
        for prefix, module in network.named_modules()
        for name, parameter in module.named_parameters(recurse=False)
        if module not in head
    }
    return {name: parameter for name, (parameter, module) in owners.items() if finetune.learns(name, parameter, module)}


def size(finetune: Finetune, network: nn.Module) -> int:
    """Return the number of numbers of the backbone that learn."""
    return sum(parameter.numel() for parameter in learning(finetune, network).values())
