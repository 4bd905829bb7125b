"""What has to be there to make records again: distributions for pip, files and modules for the command line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ltbench.core.plugins import BUILT_IN

if TYPE_CHECKING:
    from ltbench.records.record import Record


def plugin_files(records: Iterable[Record]) -> list[str]:
    """Return the names of the single files that techniques of records came from."""
    return sorted(f"{name}.py" for kind, name, _ in _origins(records) if kind == "file")


def plugin_words(records: Iterable[Record]) -> list[str]:
    """Return the words of a command that load what is no installed distribution."""
    modules = sorted(name for kind, name, _ in _origins(records) if kind == "module")
    words = [["--plugin-file", file] for file in plugin_files(records)] + [["-p", module] for module in modules]
    return [word for pair in words for word in pair]


def requirements(records: Iterable[Record]) -> list[str]:
    """Return what pip installs of third parties; a distribution that made them in several versions without one."""
    versions: dict[str, set[str]] = {}
    for kind, name, version in _origins(records):
        if kind == "" and name != BUILT_IN:
            versions.setdefault(name, set()).add(version)
    return [f"{name}=={next(iter(found))}" if len(found) == 1 else name for name, found in sorted(versions.items())]


def _origins(records: Iterable[Record]) -> set[tuple[str, str, str]]:
    """Return kind (empty for a distribution), name and version of everything that made records."""
    found = set()
    for record in records:
        for one in record.plugins:
            kind, _, name = one.distribution.rpartition(":")
            # A file's version is its digest, of which there may be several under one name.
            found.add((kind, name, "" if kind else one.version))
    return found
