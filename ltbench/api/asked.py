"""What a call from Python asks for, as the commands have it: plugins, suite, folders."""

from __future__ import annotations

import json
import numbers
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, NamedTuple

from ltbench.api.class_source import check_same, plugin_file
from ltbench.cli.asked_suite import asked_suite
from ltbench.cli.options import load_registry, selected_plugins
from ltbench.core import folders
from ltbench.core.generated_files import display_path
from ltbench.costs import resolved
from ltbench.errors import UsageError
from ltbench.records.locations import LOCAL
from ltbench.registry.discovery import PluginSelection
from ltbench.registry.registry import Registry
from ltbench.suite.suite import Suite
from ltbench.technique import Technique

Named = str | Technique | type[Technique]
"""A technique: as on the command line, such as `mixup[alpha=0.2]`; a value; or a class, with default parameters."""
Names = Named | Iterable[Named]
PathLike = str | Path


class Asked(NamedTuple):
    """The plugins and the suite of a call."""

    choice: PluginSelection
    registry: Registry
    suite: Suite
    suite_name: str


def asked(
    suite: PathLike, *, techniques: Names | None, everything: bool, strategy: str | None, max_techniques: int | None,
    datasets: Names | None, profiles: Names | None, models: Names | None, imbalance_factors: float | Iterable[float] | None,
    seeds: int | Iterable[int] | None, held_out: float | None, recipe: Mapping[str, object] | None, metric: str,
    plugins: str | Iterable[str], plugin_files: PathLike | Iterable[PathLike], leaderboards: Path,
) -> Asked:  # fmt: skip
    """Return what a call asks for. Raises `UsageError`, `PluginError` or `SuiteError`, as the commands do.

    leaderboards: below which the plugin files of classes that are no plugin's are written.
    """
    named = {"techniques": techniques, "datasets": datasets, "profiles": profiles, "models": models}
    values = {name: _values(these, name) for name, these in named.items()}
    files, words = texts(plugin_files), texts(plugins)
    choice = selected_plugins(files, words)
    own = _own_files([value for each in values.values() for value in each], choice, leaderboards)
    if own:
        choice = selected_plugins([*files, *own], words)
    registry = load_registry(choice)
    for kind in own.values():
        check_same(kind, registry.entry(kind.name, f"file:{kind.name}").technique)
    labels = {name: None if named[name] is None else ",".join(map(_label, each)) for name, each in values.items()}
    found = asked_suite(
        registry,
        suite_name=str(suite),
        plugins=labels["techniques"],
        everything=everything,
        strategy=strategy,
        max_techniques=max_techniques,
        datasets=labels["datasets"],
        profiles=labels["profiles"],
        models=labels["models"],
        imbalance_factors=_numbers(imbalance_factors, "imbalance_factors"),
        seeds=_numbers(seeds, "seeds"),
        settings=_settings({} if recipe is None else recipe),
        held_out=held_out,
        metric=resolved(metric),
    )
    return Asked(choice, registry, found, str(suite))


def data_folder(path: PathLike | None) -> Path:
    """Return the folder of data sets: that of the call, else that of the commands."""
    return folders.data_root() if path is None else Path(path)


def store_folder(path: PathLike | None) -> Path:
    """Return the folder of the store: that of the call, else that of the commands."""
    return folders.store_root() if path is None else Path(path)


def _own_files(values: Iterable[Named], choice: PluginSelection, leaderboards: Path) -> dict[str, type[Technique]]:
    """Write a plugin file for each class that is no plugin's, and return the classes by the path of their file."""
    kinds = {value if isinstance(value, type) else type(value): None for value in values if not isinstance(value, str)}
    if not kinds:
        return {}
    registry = Registry.load(choice.origin())
    known = {(kind.__module__, kind.__qualname__) for stage in registry.entries.values() for kind in [stage.technique]}
    new = [kind for kind in kinds if (kind.__module__, kind.__qualname__) not in known]
    return {display_path(plugin_file(kind, leaderboards / LOCAL)): kind for kind in new}


def _label(value: Named) -> str:
    if isinstance(value, str):
        return value
    return value.name if isinstance(value, type) else value.label


def _values(given: Names | None, argument: str) -> list[Named]:
    """Return one technique, or several, as a list. Raises `UsageError` for anything else."""
    if given is None:
        return []
    values = _several(given, str | Technique | type)
    for value in values:
        if not (isinstance(value, str | Technique) or (isinstance(value, type) and issubclass(value, Technique))):
            raise UsageError(
                f"{argument} has {value!r}, which is no technique",
                fix="names such as 'mixup', or classes of techniques",
            )
        kind = value if isinstance(value, type) else type(value)
        if not isinstance(value, str) and not isinstance(getattr(kind, "name", None), str):
            raise UsageError(
                f"{argument} has the class {kind.__name__}, which has no name", fix='name = "my_technique" in the class'
            )
    return values


def texts(given: PathLike | Iterable[PathLike] | None) -> list[str]:
    """Return one name or path, or several, as a list. Raises `UsageError` for anything else."""
    values = [] if given is None else _several(given, str | os.PathLike)
    for value in values:
        if not isinstance(value, str | os.PathLike):
            raise UsageError(f"{value!r} is neither a name nor a path", fix="text, a path, or a list of them")
    return [str(value) for value in values]


def _several(given: Any, one: type | UnionType) -> list[Any]:
    """Return what is given, one or several, as a list."""
    return list(given) if not isinstance(given, one) and isinstance(given, Iterable) else [given]


def _numbers(given: float | Iterable[float] | None, argument: str) -> str | None:
    if given is None:
        return None
    values = [] if isinstance(given, str | bytes) else _several(given, numbers.Real)
    if not values or not all(isinstance(value, numbers.Real) and not isinstance(value, bool) for value in values):
        raise UsageError(f"{argument} are {given!r}", fix="a number, or a list of numbers")
    return ",".join(f"{value}" for value in values)


def _settings(recipe: object) -> list[str]:
    """Return a recipe as `--set` takes it. Raises `UsageError` for what is none."""
    if not isinstance(recipe, Mapping):
        raise UsageError(f"recipe is {recipe!r}", fix="a dictionary, such as {'steps': 100}")
    return [f"{key}={_toml(key, value)}" for key, value in recipe.items()]


def _toml(key: object, value: object) -> str:
    if isinstance(value, str):
        return value
    try:
        if value is not None:
            return json.dumps(value, default=_plain)
    except (TypeError, ValueError):
        pass
    raise UsageError(f"{key} of the recipe is {value!r}", fix="a number, a text or a list, or leave it out")


def _plain(value: object) -> object:
    """Return a value of a library such as numpy as one of Python. Raises `TypeError` or `ValueError`."""
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(f"{value}")  # 0.1, not the nearest number of 32 bits
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError
