"""Where plugins come from: installed distributions and single files."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import inspect
import re
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import msgspec

import ltbench
from ltbench.errors import PluginError
from ltbench.technique import Technique

GROUP = "ltbench"
BUILT_IN = "ltbench"
_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A registered technique and who offers it."""

    technique: type[Technique]
    plugin: str
    distribution: str
    version: str


class Broken(msgspec.Struct, frozen=True, kw_only=True):
    """A plugin that could not be loaded or registered."""

    plugin: str
    distribution: str
    version: str
    error: str
    log: str

    def __str__(self) -> str:
        return f"plugin '{self.plugin}' of {self.distribution} {self.version} is off: {self.error}"


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What a registry was loaded from, so that a worker process can load the same."""

    plugin_files: tuple[str, ...] = ()
    disabled: tuple[str, ...] = ()


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """The plugin that something comes from, and the distribution that it belongs to."""

    plugin: str
    distribution: str
    version: str


@cache
def source_digest(technique: type[Technique]) -> str:
    """Return a digest of the file that defines a technique; empty where there is no such file."""
    file = getattr(sys.modules.get(technique.__module__), "__file__", None)
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()[:12] if file and Path(file).exists() else ""


def distribution_of(dist: importlib.metadata.Distribution | None) -> tuple[str, str]:
    """Return name and version of a distribution."""
    if dist is None:
        return "unknown", "0"
    name = dist.name
    # An editable install keeps the metadata of the day it was installed on.
    return name, ltbench.__version__ if name == BUILT_IN else dist.version


def check_class(offered: object, hook: str, base: type, kind: str) -> None:
    """Raise `PluginError` unless what a hook returned is a class of that kind with a name and sound defaults."""
    if not (inspect.isclass(offered) and issubclass(offered, base)):
        raise PluginError(f"{hook} returned {offered!r}; expected classes derived from {base.__name__}")
    name = getattr(offered, "name", None)
    if not (isinstance(name, str) and _NAME.match(name)):
        raise PluginError(f"{offered.__name__}.name is {name!r}; expected a word such as 'my_{kind}'")
    offered()  # every parameter has a default, and the defaults are in range


def import_file(path: Path) -> ModuleType:
    """Import a Python file as a plugin; what it raises is raised."""
    name = f"ltbench_file_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"{path.name} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
