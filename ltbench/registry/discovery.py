"""Selects plugins by name and imports single files."""

from __future__ import annotations

import contextlib
import importlib.machinery
import importlib.util
import inspect
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from types import CodeType, ModuleType

import msgspec

from ltbench.core.changeable_files import weakness
from ltbench.core.plugins import PluginOrigin, PluginSource
from ltbench.core.python_state import MODULES_OF_FILES
from ltbench.core.tracebacks import traceback_text
from ltbench.errors import PluginError, did_you_mean, raised
from ltbench.registry.entry_points import installed

_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")


class Broken(PluginSource, frozen=True, kw_only=True):
    """A plugin that could not be loaded or registered."""

    error: str
    log: str
    fix: str = ""

    @classmethod
    def by(cls, error: BaseException, source: PluginSource) -> Broken:
        """Return the plugin that raised an error."""
        what, fix = raised(error), ""
        if isinstance(error, PluginError):
            what, fix = error.what, error.fix
        return cls(**msgspec.structs.asdict(source), error=what, fix=fix, log=traceback_text(error))

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
        """Resolve the names on this machine.

        Raises `PluginError` for an unknown name, and for a file that another user could change.
        """
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
        for file in files:
            _check_file(Path(file))
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


def _check_file(file: Path) -> None:
    # Modules are not checked: whoever can write to a folder of `sys.path` can replace any module of Python.
    if found := weakness(file):
        raise PluginError(
            f"the plugin file {file} runs with all your rights, and another user could change it",
            where=str(found.where), why=found.why, fix=found.fix,
        )  # fmt: skip


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


class _Uncached(importlib.machinery.SourceFileLoader):
    """Compiles the source itself.

    A file in `__pycache__` is used for any source of its time and size, also for an older one, while records name the
    digest of the source that is there now.
    """

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


def import_file(path: Path, name: str = "") -> ModuleType:
    """Import a Python file as the module `name`, by default as a plugin; its errors propagate."""
    name = name or f"ltbench_file_{path.stem}"
    if path.suffix != ".py":
        raise PluginError(f"{path.name} is not a Python file")
    spec = importlib.util.spec_from_file_location(name, path, loader=_Uncached(name, str(path)))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    MODULES_OF_FILES.add(name)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
