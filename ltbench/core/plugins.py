"""Where techniques come from: a plugin, its distribution, and which plugins a process has loaded."""

from __future__ import annotations

import msgspec

from ltbench.technique import Technique

BUILT_IN = "ltbench"
"""The distribution of the built-in plugins."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A registered technique and who offers it."""

    technique: type[Technique]
    plugin: str
    distribution: str
    version: str


class PluginOrigin(msgspec.Struct, frozen=True, kw_only=True):
    """What a registry was loaded from, so that a worker process can load the same."""

    plugin_files: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    """Modules that are no installed plugin."""
    disabled: tuple[str, ...] = ()
    """Plugins that are off, by the name of their entry point."""
    only: tuple[str, ...] | None = None
    """Plugins of third parties that are on, where the others are off; None: all."""

    def has(self, source: PluginSource) -> bool:
        """Whether an installed plugin is on."""
        if source.plugin in self.disabled or source.distribution in self.disabled:
            return False
        return (
            self.only is None
            or source.distribution == BUILT_IN
            or not {source.plugin, source.distribution}.isdisjoint(self.only)
        )


class PluginSource(msgspec.Struct, frozen=True, kw_only=True):
    """The plugin that something comes from, and the distribution that it belongs to."""

    plugin: str
    distribution: str
    version: str
