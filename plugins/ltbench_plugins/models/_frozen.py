"""Frozen backbones."""

from __future__ import annotations

from ltbench.errors import ParameterError


def check_frozen(name: str, *, pretrained: bool, frozen: bool) -> None:
    """Raise `ParameterError` for a frozen backbone with random weights."""
    if frozen and not pretrained:
        raise ParameterError(
            f"model '{name}' is frozen, but its weights are random", fix=f"{name}[pretrained=true,frozen=true]"
        )
