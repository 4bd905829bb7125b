"""The names of timm's models, without importing timm."""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from pathlib import Path

_REGISTERED = re.compile(r"^@register_model\b.*\n(?:@.*\n)*def (\w+)\(", re.MULTILINE)


_WITH_BLOCKS = frozenset({"convnext", "efficientnet", "mobilenetv3", "resnet"})
"""Files of timm whose networks apply stem and stages one after the other."""

_TRANSFORMERS = frozenset({"beit", "deit", "swin_transformer", "vision_transformer", "vision_transformer_hybrid"})
"""Files of timm whose networks consist of blocks that return x + MLP(norm2(x))."""


@cache
def _files() -> dict[str, str]:
    """Return the file, without ending, of each model of the installed timm; empty without timm.

    Parses the source of timm in about 30 ms; importing timm takes seconds, as it imports torch. A model of timm is a
    function with the decorator `register_model`.
    """
    spec = importlib.util.find_spec("timm")
    if spec is None or spec.origin is None:
        return {}
    sources = (Path(spec.origin).parent / "models").rglob("*.py")
    return {name: file.stem for file in sources for name in _REGISTERED.findall(file.read_text(encoding="utf-8"))}


@cache
def timm_names() -> frozenset[str]:
    """Return the names of all models of the installed timm, without importing it; empty without timm."""
    return frozenset(_files())


def has_blocks(name: str) -> bool:
    """Whether the networks of a model apply stem and stages one after the other."""
    return _files().get(name) in _WITH_BLOCKS


def is_transformer(name: str) -> bool:
    """Whether the networks of a model consist of transformer blocks."""
    return _files().get(name) in _TRANSFORMERS
