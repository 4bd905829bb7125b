"""Loading plugins one by one: each whole or not at all, with the time that it took.

The only module that touches pluggy's manager. What a plugin does wrong while it is imported or registered becomes a
`Broken` with its error, and takes nothing else down.
"""

from __future__ import annotations

import contextlib
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pluggy

from ltbench import hookspecs
from ltbench.core.plugins import PluginSource
from ltbench.errors import PluginError, nearest
from ltbench.executor import ExecutorOffer
from ltbench.hookspecs import Family
from ltbench.registry.discovery import Broken, check_class
from ltbench.stages import STAGES, Column, Technique

SLOW_SECONDS = 0.05
"""A plugin that takes longer to load is named: every command waits for it."""
_STAGE_OF_HOOK = {stage.hook: stage for stage in STAGES.values()}


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """What one plugin offers."""

    source: PluginSource
    seconds: float
    techniques: tuple[type[Technique], ...] = ()
    suites: tuple[Path, ...] = ()
    families: tuple[Family, ...] = ()
    executors: tuple[type[ExecutorOffer], ...] = ()
    notes: tuple[str, ...] = ()
    """What its author should change before a later ltbench demands it."""

    @property
    def is_slow(self) -> bool:
        """Whether it takes so long that every command is felt to wait for it."""
        return self.seconds > SLOW_SECONDS


class Loader:
    """Loads plugins against hook specifications."""

    def __init__(self, specs: ModuleType = hookspecs) -> None:
        """specs: a module like `ltbench.hookspecs`, for tests of how hooks may change."""
        self._specs = specs
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(specs)

    def load(self, source: PluginSource, module: Callable[[], object]) -> Loaded | Broken:
        """Import and register one plugin, whole or not at all. module: imports it."""
        began = time.perf_counter()
        try:
            # What a plugin prints is no data.
            with contextlib.redirect_stdout(sys.stderr):
                found = module()
                return self.register(source, found, began)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a plugin does wrong stays its own
            return Broken(
                plugin=source.plugin,
                distribution=source.distribution,
                version=source.version,
                error=error.what if isinstance(error, PluginError) else f"{type(error).__name__}: {error}",
                fix=error.fix if isinstance(error, PluginError) else "",
                log=traceback.format_exc(),
            )

    def register(self, source: PluginSource, module: object, began: float | None = None) -> Loaded:
        """Register what was imported; whatever is wrong with it is raised, and then nothing of it stays.

        began: when its import began, by `time.perf_counter`.
        """
        began = time.perf_counter() if began is None else began
        check_api(module, self._specs)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                self._manager.register(module, name=f"{source.distribution}/{source.plugin}")
            except pluggy.PluginValidationError as error:
                raise PluginError(
                    f"a hook of it asks for an argument that version {self._specs.API_VERSION} of the hooks has not: "
                    f"{str(error).splitlines()[-1]}",
                    fix="pip install --upgrade ltbench",
                ) from None
        try:
            return Loaded(
                source=source,
                **self._offered(module),
                notes=tuple(str(warning.message) for warning in caught),
                seconds=time.perf_counter() - began,
            )
        except BaseException:
            self._manager.unregister(module)
            raise

    def _offered(self, module: object) -> dict[str, tuple[Any, ...]]:
        callers = self._manager.get_hookcallers(module) or []
        if not callers:
            raise PluginError("it implements no hook of ltbench; is @hookimpl missing?")
        offered: dict[str, tuple[Any, ...]] = {"techniques": ()}
        for caller in callers:
            if not caller.has_spec():
                near = nearest(caller.name, [name for name in vars(self._specs) if name.startswith("ltbench_")])
                raise PluginError(f"there is no hook '{caller.name}'" + (f"; did you mean {near[0]}?" if near else ""))
            impl = next(i for i in caller.get_hookimpls() if i.plugin is module)
            # A hook may ask for less than it is offered, so that one written before an argument was added still works.
            answer: Any = impl.function(*[self._specs.ARGUMENTS[name] for name in impl.argnames])
            if isinstance(answer, (str, bytes)) or not isinstance(answer, Iterable):
                raise PluginError(
                    f"{caller.name} returned {answer!r}; expected a list", fix=f"return [{_short(answer)}]"
                )
            result = tuple(answer)
            match caller.name:
                case "ltbench_suites":
                    offered["suites"] = tuple(map(Path, result))
                case "ltbench_families":
                    offered["families"] = result
                case "ltbench_executors":
                    for offer in result:
                        check_class(offer, caller.name, ExecutorOffer, "executor")
                    offered["executors"] = result
                case hook:
                    for technique in result:
                        check_technique(technique, hook)
                    offered["techniques"] += result
        names = [technique.name for technique in offered["techniques"]]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise PluginError(f"it offers two techniques named '{twice[0]}'")
        return offered


def check_technique(technique: object, hook: str) -> None:
    """Raise `PluginError` unless what a hook returned is a technique of the hook's stage."""
    stage = _STAGE_OF_HOOK[hook]
    check_class(technique, hook, stage.base, stage.name)
    columns = getattr(technique, "columns", ())
    try:
        # A constructor checks no types, and a misspelt place would hide the column without a word.
        declared = msgspec.convert(msgspec.to_builtins(columns), tuple[Column, ...])
    except (TypeError, msgspec.ValidationError) as error:
        raise PluginError(f"the columns of its {stage.name} cannot be used: {error}",
                          fix='columns = (Column(name="...", title="..."),)') from None  # fmt: skip
    names = [column.name for column in declared]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise PluginError(f"its {stage.name} declares two columns for '{twice[0]}'", fix="remove one of them")


def check_api(module: object, specs: ModuleType = hookspecs) -> None:
    """Raise `PluginError` where a plugin says that it is written for a version of the hooks that is not here.

    A module may say so with `LTBENCH_API = 1`; one that says nothing is taken as it is.
    """
    written = getattr(module, "LTBENCH_API", specs.API_VERSION)
    here = f"and this ltbench has versions {specs.OLDEST_API} to {specs.API_VERSION}"
    if not isinstance(written, int) or isinstance(written, bool) or written < 1:
        raise PluginError(f"LTBENCH_API is {written!r}; expected the version of the hooks that it is written for",
                          fix=f"LTBENCH_API = {specs.API_VERSION}")  # fmt: skip
    if written > specs.API_VERSION:
        raise PluginError(
            f"it is written for version {written} of the hooks, {here}", fix="pip install --upgrade ltbench"
        )
    if written < specs.OLDEST_API:
        raise PluginError(f"it is written for version {written} of the hooks, {here}", fix="upgrade the plugin")


def _short(answer: object) -> str:
    return getattr(answer, "__name__", repr(answer))
