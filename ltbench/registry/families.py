"""Families of techniques: what is said where a family, or one that has no members here, is meant."""

from __future__ import annotations

from collections.abc import Sequence

from ltbench.core.plugins import PluginSource
from ltbench.errors import PluginError, lacking
from ltbench.hookspecs import Family


def families_of(plugin: str, families: Sequence[tuple[PluginSource, Family]]) -> list[tuple[PluginSource, Family]]:
    """Return the families of a plugin. Raises `PluginError` if they have no members because a package is missing."""
    found = [(source, family) for source, family in families if source.plugin == plugin]
    if found and (missing := without_members(found)):
        what, _, how = missing.partition(": ")
        raise PluginError(what, fix=how)
    return found


def without_members(families: Sequence[tuple[PluginSource, Family]]) -> str:
    """Return which family has no members because a package is missing, and how to install it; empty if none."""
    return "; ".join(
        text for source, family in families if (text := lacking(source.plugin, getattr(family, "requires", {})))
    )
