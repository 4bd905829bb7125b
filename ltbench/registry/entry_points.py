"""Installed plugins: entry points from metadata, or from the pyproject.toml of editable distributions."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterator
from functools import cache, partial
from importlib.metadata import Distribution, EntryPoint
from pathlib import Path
from typing import NoReturn
from urllib.parse import unquote, urlsplit

import msgspec

from ltbench.core.plugins import BUILT_IN, PluginSource
from ltbench.errors import PluginError
from ltbench.version import __version__

GROUP = "ltbench"
_PROJECT = "pyproject.toml"

Load = Callable[[], object]
"""Imports a plugin's module."""


class _DirInfo(msgspec.Struct):
    editable: bool = False


class _DirectUrl(msgspec.Struct):
    """Where pip installed a distribution from (PEP 610)."""

    url: str
    dir_info: _DirInfo = msgspec.field(default_factory=_DirInfo)


def installed() -> list[tuple[PluginSource, Load]]:
    """Return every installed plugin, built-in ones first, so that they register their names before others."""
    about = cache(distribution_of)
    plugins: list[tuple[PluginSource, Load]] = []
    current: set[str] = set()
    for dist, project in _editable():
        name, version = about(dist)
        source = partial(PluginSource, distribution=name, version=version)
        try:
            points = _declared(project)
        except PluginError as error:
            # Added as a plugin that fails to load, so that every command and `doctor` report it.
            plugins.append((source(plugin=_PROJECT), partial(_fail, error)))
            continue
        if points is not None:
            current.add(name)
            plugins += [(source(plugin=point.name), point.load) for point in points]
    for point in importlib.metadata.entry_points(group=GROUP):
        name, version = about(point.dist)
        if name not in current:
            plugins.append((PluginSource(plugin=point.name, distribution=name, version=version), point.load))
    plugins.sort(key=lambda plugin: (plugin[0].distribution != BUILT_IN, plugin[0].distribution, plugin[0].plugin))
    return plugins


def distribution_of(dist: Distribution | None) -> tuple[str, str]:
    """Return name and version of a distribution."""
    if dist is None:
        return "unknown", "0"
    name = dist.name
    # The metadata of an editable installation may have an older version.
    return name, __version__ if name == BUILT_IN else dist.version


def _editable() -> Iterator[tuple[Distribution, Path]]:
    """Yield each editable distribution with a project file, and that file."""
    names: set[str] = set()
    for dist in importlib.metadata.distributions():
        text = dist.read_text("direct_url.json")
        if not text:
            continue
        try:
            direct = msgspec.json.decode(text, type=_DirectUrl)
        except msgspec.DecodeError:
            continue
        file = Path(unquote(urlsplit(direct.url).path), _PROJECT)
        if not direct.dir_info.editable or dist.name in names or not file.is_file():
            continue
        names.add(dist.name)
        # Python uses the first distribution with this name on the path, which may be another one.
        if importlib.metadata.distribution(dist.name).read_text("direct_url.json") == text:
            yield dist, file


def _declared(file: Path) -> list[EntryPoint] | None:
    """Return the entry points that a project declares; None if its build backend defines them.

    Raises `PluginError` if the file cannot be read.
    """
    import tomllib

    try:
        project = tomllib.loads(file.read_text(encoding="utf-8-sig")).get("project")
        if project is None or "entry-points" in project.get("dynamic", ()):
            return None
        points = msgspec.convert(project.get("entry-points", {}).get(GROUP, {}), dict[str, str])
    except (OSError, ValueError, AttributeError, TypeError, msgspec.ValidationError) as error:
        raise PluginError(
            f"{file} cannot be read: {error}; using the plugins of the last installation", fix=f"correct {file}"
        ) from None
    return [EntryPoint(name=name, value=value, group=GROUP) for name, value in points.items()]


def _fail(error: PluginError) -> NoReturn:
    raise error
