"""Selects plugins by name and imports single files."""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import re
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

import msgspec

from ltbench.core.plugins import PluginOrigin, PluginSource
from ltbench.errors import PluginError, did_you_mean
from ltbench.registry.entry_points import installed

_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")


class Broken(PluginSource, frozen=True, kw_only=True):
    """A plugin that could not be loaded or registered."""

    error: str
    log: str
    fix: str = ""

    @classmethod
    def by(cls, error: BaseException, source: PluginSource) -> Broken:
        """Return the plugin that raised the current error."""
        what, fix = f"{type(error).__name__}: {error}", ""
        if isinstance(error, PluginError):
            what, fix = error.what, error.fix
        return cls(**msgspec.structs.asdict(source), error=what, fix=fix, log=traceback.format_exc())

    def __str__(self) -> str:
        return f"plugin '{self.plugin}' of {self.distribution} {self.version} is disabled: {self.error}"


class PluginSelection(msgspec.Struct, frozen=True, kw_only=True):
    """The plugins that a user selects."""

    files: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    """`NAME`: an installed plugin, an importable module, or a file; `no:NAME`: an installed plugin to disable."""
    builtin_only: bool = False
    """Whether third-party plugins are disabled unless named."""

    def origin(self) -> PluginOrigin:
        """Resolve the names on this machine. Raises `PluginError` for an unknown name."""
        plugins = installed() if self.words else []
        names = {name for source, _ in plugins for name in (source.plugin, source.distribution)}
        files, modules, off, on = list(self.files), [], [], []
        for word in self.words:
            name = word.removeprefix("no:")
            if word != name and name in names:
                off.append(name)
            elif word != name or not name:
                raise _unknown(word, name, names)
            elif name.endswith(".py"):
                files.append(name)
            elif name in names:
                on.append(name)
            elif _is_module(name):
                modules.append(name)
            else:
                raise _unknown(word, name, names)
        return PluginOrigin(
            plugin_files=tuple(dict.fromkeys(str(Path(file).resolve()) for file in files)),
            modules=tuple(dict.fromkeys(modules)),
            disabled=tuple(sorted(set(off))),
            only=tuple(sorted(set(on))) if self.builtin_only else None,
        )


def _unknown(word: str, name: str, names: Iterable[str]) -> PluginError:
    return PluginError(
        f"unknown plugin '{word}': there is no installed plugin '{name}'"
        + ("" if word != name else ", module or file"),
        fix=did_you_mean(name, names, "ltbench plugins lists the installed ones"),
    )


def _is_module(name: str) -> bool:
    with contextlib.suppress(ImportError, ValueError):
        return importlib.util.find_spec(name) is not None
    return False


def check_class(offered: object, hook: str, base: type, kind: str) -> None:
    """Raise `PluginError` unless a hook returned a class of the expected kind with a name and valid defaults."""
    if not (inspect.isclass(offered) and issubclass(offered, base)):
        raise PluginError(f"{hook} returned {offered!r}; expected classes derived from {base.__name__}")
    name = getattr(offered, "name", None)
    if not (isinstance(name, str) and _NAME.match(name)):
        raise PluginError(f"{offered.__name__}.name is {name!r}; expected a word such as 'my_{kind}'")
    offered()  # raises unless every parameter has a default in range


def import_file(path: Path, name: str = "") -> ModuleType:
    """Import a Python file as the module `name`, by default as a plugin; its errors propagate."""
    name = name or f"ltbench_file_{path.stem}"
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
