"""The plugin of a technique, and the plugins that a process has loaded."""

from __future__ import annotations

import msgspec

from ltbench.technique import Technique

BUILT_IN = "ltbench"
"""The distribution of the built-in plugins."""


class PluginSource(msgspec.Struct, frozen=True, kw_only=True):
    """A plugin and its distribution."""

    plugin: str
    distribution: str
    version: str


class Entry(PluginSource, frozen=True, kw_only=True):
    """A registered technique and its plugin."""

    technique: type[Technique]


class PluginOrigin(msgspec.Struct, frozen=True, kw_only=True):
    """The plugins that a registry was loaded from, so that a worker process can load the same."""

    plugin_files: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    """Modules that are not installed plugins."""
    disabled: tuple[str, ...] = ()
    """Disabled entry points or distributions."""
    only: tuple[str, ...] | None = None
    """The only third-party plugins to load, by entry point or distribution; None for all."""

    def has(self, source: PluginSource) -> bool:
        """Whether an installed plugin is loaded."""
        if source.plugin in self.disabled or source.distribution in self.disabled:
            return False
        # Built-in plugins cannot be disabled, because nothing runs without baselines.
        return (
            self.only is None
            or source.distribution == BUILT_IN
            or not {source.plugin, source.distribution}.isdisjoint(self.only)
        )
