"""Required distributions of a suite, and installed ones as pip requirements."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement

from ltbench.core.plugins import BUILT_IN
from ltbench.errors import PluginError, SuiteError
from ltbench.registry.entry_points import distribution_of

if TYPE_CHECKING:
    from ltbench.registry.registry import Registry


def parse_requirement(text: str) -> Requirement:
    """Parse a requirement such as `ltbench-shapes>=1.2`. Raises `SuiteError` for a syntax error."""
    try:
        return Requirement(text)
    except InvalidRequirement as error:
        raise SuiteError(f"cannot parse the required plugin '{text}'", why=str(error).splitlines()[0],
                         fix="write a distribution with versions, such as ltbench-shapes>=1.2") from None  # fmt: skip


def check_required(requirements: Iterable[str], who: str, registry: Registry) -> None:
    """Raise `PluginError` unless every distribution is installed in a matching version with its plugins enabled."""
    for text in requirements:
        wanted = parse_requirement(text)
        fix = f"pip install '{text}'"
        try:
            name, version = distribution_of(importlib.metadata.distribution(wanted.name))
        except importlib.metadata.PackageNotFoundError:
            raise PluginError(f"{who} requires {text}, which is not installed", fix=fix) from None
        if not wanted.specifier.contains(version, prereleases=True):
            raise PluginError(f"{who} requires {text}, but {name} {version} is installed", fix=fix)
        for broken in registry.broken:
            if broken.distribution == name:
                raise PluginError(f"{who} requires {text}", why=str(broken), fix=broken.fix or "ltbench doctor")
        if not any(loaded.source.distribution == name for loaded in registry.loaded):
            raise PluginError(
                f"{who} requires {text}, whose plugins are disabled", fix="remove --no-plugins or -p no:..."
            )


def pins(registry: Registry) -> list[str]:
    """Return a pip requirement for each distribution with plugins; files and modules become comments."""
    sources = {(loaded.source.distribution, loaded.source.version) for loaded in registry.loaded}
    lines = [f"{name}=={version}" for name, version in sources if ":" not in name]
    files = [f"# {name} {version}" for name, version in sources if ":" in name]
    return [*sorted(lines, key=lambda line: (not line.startswith(f"{BUILT_IN}=="), line)), *sorted(files)]
