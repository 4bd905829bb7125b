"""Plugins that are needed to rerun records: distributions for pip, files and modules for the command line."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ltbench.core.plugins import BUILT_IN

if TYPE_CHECKING:
    from ltbench.records.record import Record


def plugin_files(records: Iterable[Record]) -> list[str]:
    """Return the names of the plugin files that provide the techniques of records."""
    return sorted(f"{name}.py" for kind, name, _ in _origins(records) if kind == "file")


def plugin_words(records: Iterable[Record]) -> list[str]:
    """Return the command-line options that load plugin files and modules."""
    modules = sorted(name for kind, name, _ in _origins(records) if kind == "module")
    words = [["--plugin-file", file] for file in plugin_files(records)] + [["-p", module] for module in modules]
    return [word for pair in words for word in pair]


def with_plugins(command: str, records: Iterable[Record], paths: Iterable[str] = ()) -> str:
    """Return a command with the options that load the plugin files and modules of records, unless it has them.

    paths: of the plugin files, if known; a record only has their names.
    """
    # The file of a leaderboard is untrusted: its command may not be a valid command.
    words = words_of(command)
    known = {Path(path).name: path for path in [*words, *paths]}
    options = plugin_words(records)
    more: list[str] = []
    for option, name in zip(options[::2], options[1::2], strict=True):
        if name not in words and known.get(name, "") not in words:
            more += [option, known.get(name, name)]
    return f"{command} {shlex.join(more)}" if more else command


def words_of(command: str) -> list[str]:
    """Return the words of a command as a shell reads them; if it cannot, split at spaces."""
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()


def requirements(records: Iterable[Record]) -> list[str]:
    """Return the third-party requirements for pip; without a version if records have several."""
    versions: dict[str, set[str]] = {}
    for kind, name, version in _origins(records):
        if kind == "" and name != BUILT_IN:
            versions.setdefault(name, set()).add(version)
    return [f"{name}=={next(iter(found))}" if len(found) == 1 else name for name, found in sorted(versions.items())]


def _origins(records: Iterable[Record]) -> set[tuple[str, str, str]]:
    """Return (kind, name, version) of all plugins of records; kind is empty for a distribution."""
    plugins = ((plugin.distribution.rpartition(":"), plugin) for record in records for plugin in record.plugins)
    # The version of a file is its digest; several files may have one name.
    return {(kind, name, "" if kind else plugin.version) for (kind, _, name), plugin in plugins}
