"""Compares the plugins that made a record with the installed ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ltbench.errors import LtbenchError
from ltbench.executor import Techniques
from ltbench.registry.source_digest import is_other_source


def differences(
    made_by: Iterable[Mapping[str, Any]], registry: Techniques, current: dict[tuple[str, str], dict[str, Any]]
) -> list[str]:
    """Return a line for each plugin that differs from the installed one. current: a cache of installed provenances."""
    lines = []
    for then in made_by:
        name, distribution = made = then["name"], then["distribution"]
        if made not in current:
            try:
                current[made] = registry.provenance(registry.entry(name, distribution).technique())
            except LtbenchError:
                current[made] = {}
        now = current[made]
        if not now:
            lines.append(f"{name}: made by {distribution} {then['version']}, which is not installed")
        elif then["version"] != now["version"]:
            lines.append(f"{name}: made by {distribution} {then['version']}, but {now['version']} is installed")
        elif is_other_source(then["source"], now["source"]):
            lines.append(f"{name}: its source has changed since, but not its version {now['version']}")
    return lines
