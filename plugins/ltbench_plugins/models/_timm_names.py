"""The names of timm's models, without importing timm."""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from pathlib import Path

_REGISTERED = re.compile(r"^@register_model\b.*\n(?:@.*\n)*def (\w+)\(", re.MULTILINE)


@cache
def timm_names() -> frozenset[str]:
    """Return the names of all models of the installed timm; empty without timm.

    Parses the source of timm in about 30 ms; importing timm takes seconds, as it imports torch. A model of timm is a
    function with the decorator `register_model`.
    """
    spec = importlib.util.find_spec("timm")
    if spec is None or spec.origin is None:
        return frozenset()
    sources = (Path(spec.origin).parent / "models").rglob("*.py")
    return frozenset(name for file in sources for name in _REGISTERED.findall(file.read_text(encoding="utf-8")))
