"""Loads plugins one by one, each completely or not at all.

The only module that uses pluggy's manager. An error while a plugin is imported or registered becomes a `Broken` and
affects no other plugin.
"""

from __future__ import annotations

import contextlib
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pluggy

from ltbench import hookspecs
from ltbench.columns import Column
from ltbench.core.plugins import BUILT_IN, PluginSource
from ltbench.core.process_state import ProcessState, written
from ltbench.core.signals import is_request_to_stop
from ltbench.errors import PluginError, nearest
from ltbench.executor import ExecutorOffer
from ltbench.hookspecs import Family
from ltbench.method import Method
from ltbench.observer import ObserverOffer
from ltbench.registry.discovery import Broken, check_class
from ltbench.stages import STAGES, Technique

SLOW_SECONDS = 0.05
"""Plugins that take longer to load are reported, because they delay every command."""
_STAGE_OF_HOOK = {stage.hook: stage for stage in STAGES.values()}


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """What one plugin provides."""

    source: PluginSource
    seconds: float
    techniques: tuple[type[Technique], ...] = ()
    suites: tuple[Path, ...] = ()
    methods: tuple[Method, ...] = ()
    families: tuple[Family, ...] = ()
    executors: tuple[type[ExecutorOffer], ...] = ()
    observers: tuple[type[ObserverOffer], ...] = ()
    notes: tuple[str, ...] = ()
    """Warnings for its author about changes that a later ltbench will require."""

    def names(self) -> dict[str, list[str]]:
        """Return the names of what it provides by kind: technique, method, suite, executor, observer."""
        return {
            "technique": [technique.name for technique in self.techniques],
            "method": [method.name for method in self.methods],
            "suite": [path.stem for path in self.suites],
            "executor": [offer.name for offer in self.executors],
            "observer": [offer.name for offer in self.observers],
        }

    @property
    def is_slow(self) -> bool:
        """Whether it noticeably delays every command."""
        return self.seconds > SLOW_SECONDS


class Loader:
    """Loads plugins and validates them against the hook specifications."""

    def __init__(self, specs: ModuleType = hookspecs) -> None:
        """specs: a module like `ltbench.hookspecs`; tests of hook changes pass others."""
        self._specs = specs
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(specs)

    def load(self, source: PluginSource, module: Callable[[], object]) -> Loaded | Broken:
        """Import and register one plugin completely or not at all. module: imports it."""
        start = time.perf_counter()
        try:
            # stdout is for the data of commands.
            with contextlib.redirect_stdout(sys.stderr):
                # Built-in plugins are checked by the tests of ltbench, and every command loads them all.
                state = ProcessState() if source.distribution != BUILT_IN else None
                imported = module()
                loaded = self._register(source, imported, start)
                if state is not None and (changes := state.changes()):
                    state.restore()
                    self._manager.unregister(imported)
                    raise PluginError(
                        f"importing it changes {written(changes)}, which changes the numbers of every technique",
                        fix="restore it at the end of the module, or set and restore it in the method that needs it",
                    )
                return loaded
        except BaseException as error:  # no error of a plugin may affect others
            if is_request_to_stop(error):
                raise
            return Broken.by(error, source)

    def _register(self, source: PluginSource, module: object, start: float) -> Loaded:
        """Register an imported module completely, or raise an error and register nothing."""
        check_api(module, self._specs)
        # pluggy warns about arguments that a later version of the hooks removes.
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                self._manager.register(module, name=f"{source.distribution}/{source.plugin}")
            except pluggy.PluginValidationError as error:
                raise PluginError(
                    f"one of its hooks has an argument that version {self._specs.API_VERSION} of the hooks does not have: "
                    f"{str(error).splitlines()[-1]}",
                    fix="pip install --upgrade ltbench",
                ) from None
        try:
            return Loaded(
                source=source,
                **self._offered(module),
                notes=tuple(str(warning.message) for warning in caught),
                seconds=time.perf_counter() - start,
            )
        except BaseException:
            self._manager.unregister(module)
            raise

    def _offered(self, module: object) -> dict[str, tuple[Any, ...]]:
        callers = self._manager.get_hookcallers(module) or []
        if not callers:
            raise PluginError("it implements no hook of ltbench (is @hookimpl missing?)")
        offered: dict[str, tuple[Any, ...]] = {"techniques": ()}
        for caller in callers:
            if not caller.has_spec():
                near = nearest(caller.name, [name for name in vars(self._specs) if name.startswith("ltbench_")])
                raise PluginError(f"unknown hook '{caller.name}'" + (f"; did you mean {near[0]}?" if near else ""))
            impl = next(i for i in caller.get_hookimpls() if i.plugin is module)
            # Pass only the arguments that the hook declares, so that plugins still work when one is added.
            answer: Any = impl.function(*[self._specs.ARGUMENTS[name] for name in impl.argnames])
            if isinstance(answer, (str, bytes)) or not isinstance(answer, Iterable):
                raise PluginError(
                    f"{caller.name} returned {answer!r}; expected a list",
                    fix=f"return [{getattr(answer, '__name__', repr(answer))}]",
                )
            result = tuple(answer)
            kind = "techniques" if caller.name in _STAGE_OF_HOOK else caller.name.removeprefix("ltbench_")
            for offer in result:
                if kind == "techniques":
                    check_technique(offer, caller.name)
                elif kind == "executors":
                    check_class(offer, caller.name, ExecutorOffer, "executor")
                elif kind == "observers":
                    check_class(offer, caller.name, ObserverOffer, "observer")
                elif kind == "methods":
                    check_method(offer)
            offered[kind] = offered.get(kind, ()) + (tuple(map(Path, result)) if kind == "suites" else result)
        kinds = {"technique": ("techniques", "methods"), "executor": ("executors",), "observer": ("observers",)}
        for kind, offers in kinds.items():
            names = [one.name for each in offers for one in offered.get(each, ())]
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise PluginError(f"it provides two {kind}s named '{twice[0]}'")
        return offered


def check_method(method: object) -> None:
    """Raise `PluginError` unless a hook returned a valid method."""
    if not isinstance(method, Method):
        raise PluginError(f"ltbench_methods returned {method!r}; expected methods",
                          fix='Method(name="my_method", parts=("focal", "drw"), about="...")')  # fmt: skip
    try:
        # Constructors do not check types.
        msgspec.convert(msgspec.structs.asdict(method), Method)
    except msgspec.ValidationError as error:
        raise PluginError(f"its method {method.name!r} is invalid: {error}") from None


def check_technique(technique: object, hook: str) -> None:
    """Raise `PluginError` unless a hook returned a technique of its stage."""
    stage = _STAGE_OF_HOOK[hook]
    check_class(technique, hook, stage.base, stage.name)
    columns = getattr(technique, "columns", ())
    try:
        # Constructors do not check types, and a misspelt place would silently hide the column.
        declared = msgspec.convert(msgspec.to_builtins(columns), tuple[Column, ...])
    except (TypeError, msgspec.ValidationError) as error:
        raise PluginError(f"the columns of its {stage.name} are invalid: {error}",
                          fix='columns = (Column(name="...", title="..."),)') from None  # fmt: skip
    names = [column.name for column in declared]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise PluginError(f"its {stage.name} declares two columns for '{twice[0]}'", fix="remove one of them")


def check_api(module: object, specs: ModuleType = hookspecs) -> None:
    """Raise `PluginError` if a plugin is written for a version of the hooks that this ltbench does not support.

    A module declares the version with `LTBENCH_API = 1`; without it, any version is assumed.
    """
    written = getattr(module, "LTBENCH_API", specs.API_VERSION)
    if not isinstance(written, int) or isinstance(written, bool) or written < 1:
        raise PluginError(f"LTBENCH_API is {written!r}; expected a version of the hooks",
                          fix=f"LTBENCH_API = {specs.API_VERSION}")  # fmt: skip
    if not specs.OLDEST_API <= written <= specs.API_VERSION:
        raise PluginError(
            f"it is written for version {written} of the hooks, but this ltbench supports versions {specs.OLDEST_API} to "
            f"{specs.API_VERSION}",
            fix="pip install --upgrade ltbench" if written > specs.API_VERSION else "upgrade the plugin",
        )
