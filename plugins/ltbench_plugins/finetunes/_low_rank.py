"""Low-rank changes of the layers of a network, by the library peft."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from ltbench.errors import JobFailed, MissingExtra


class SeparateProjections(nn.Module):
    """The fused projection of an attention layer as three: tokens float [B, T, D] -> float [B, T, 3 D']."""

    def __init__(self, fused: nn.Linear) -> None:
        super().__init__()
        self.q, self.k, self.v = (_part(fused, number) for number in range(3))

    def forward(self, tokens: Tensor) -> Tensor:
        return torch.cat([self.q(tokens), self.k(tokens), self.v(tokens)], dim=-1)


def add_low_rank(network: nn.Module, rank: int, alpha: float, *, attention: bool) -> nn.Module:
    """Add low-rank changes to layers of a network, in place; return the network.

    attention: only to queries and values, if the network has any. Raises `JobFailed` for layers that cannot be adapted,
    `MissingExtra` without peft.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError:
        raise MissingExtra.of("finetune 'lora'", "peft", "finetune") from None
    targets = (_queries_and_values(network) if attention else []) or _all_layers(network)
    if not targets:
        raise JobFailed(
            f"finetune 'lora' finds nothing to adapt: {type(network).__name__} has no linear layers or convolutions"
        )
    # Full names: peft compares the ends of names, so a pattern could also match other layers.
    config = LoraConfig(
        r=rank, lora_alpha=cast("Any", alpha), target_modules=_pattern(targets), lora_dropout=0.0, bias="none"
    )
    # Peft finds layers by attributes, which a method of the network may hide: timm's `blocks` with ours of that name.
    carrier = nn.Module()
    for name, child in network.named_children():
        carrier.add_module(name, child)
    inject_adapter_in_model(config, carrier)
    for name, child in carrier.named_children():
        setattr(network, name, child)
    return network


def _pattern(names: list[str]) -> str:
    """Return a regular expression that matches exactly these names."""
    return "|".join(name.replace(".", r"\.") for name in names)


def _queries_and_values(network: nn.Module) -> list[str]:
    """Return the names of the projections to queries and values, after splitting fused ones."""
    targets: list[str] = []
    for prefix, module in list(network.named_modules()):
        fused = getattr(module, "qkv", None)
        if isinstance(fused, nn.Linear):
            if not _calls_projection(module):
                raise JobFailed(
                    f"finetune 'lora' cannot adapt the queries of {type(network).__name__}, which uses the weights of its "
                    "projection without calling it",
                    fix="lora[layers=all], or another model",
                )
            module.qkv = SeparateProjections(fused)
            targets += [f"{prefix}.qkv.q", f"{prefix}.qkv.v"]
        else:
            own = [
                name for name in ("q", "q_proj", "v", "v_proj") if isinstance(getattr(module, name, None), nn.Linear)
            ]
            targets += [f"{prefix}.{name}" for name in own]
    return targets


def _calls_projection(attention: nn.Module) -> bool:
    """Whether an attention layer calls its fused projection; some of timm add biases of their own to its weights."""
    return getattr(attention, "q_bias", None) is None


def _all_layers(network: nn.Module) -> list[str]:
    """Return the names of the linear layers and convolutions without groups of the backbone."""
    left_out = set(network.get_classifier().modules())  # type: ignore[operator]
    left_out |= {module.qkv for module in network.modules() if hasattr(module, "qkv") and not _calls_projection(module)}
    return [
        name
        for name, module in network.named_modules()
        if module not in left_out
        and (isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.groups == 1))
    ]


def _part(fused: nn.Linear, number: int) -> nn.Linear:
    """Return one of the three projections of a fused one."""
    size = fused.out_features // 3
    rows = slice(number * size, (number + 1) * size)
    part = nn.Linear(fused.in_features, size, bias=fused.bias is not None, device=fused.weight.device)
    with torch.no_grad():
        part.weight.copy_(fused.weight[rows])
        if fused.bias is not None:
            part.bias.copy_(fused.bias[rows])
    return part
