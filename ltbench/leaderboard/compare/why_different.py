"""Possible causes of different numbers: specs, machines, versions of plugins."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ltbench.core.spec import canonical
from ltbench.records.machines import unlike_machines
from ltbench.records.record import Provenance, Record
from ltbench.registry.source_digest import is_other_source


def machines(first: Iterable[Record], second: Iterable[Record]) -> list[str]:
    """Return the differences between the machines of two sides."""
    # Many records share an environment, so each pair of distinct ones is compared once.
    sides = [
        {canonical(record.environment): record.environment for record in side}.values() for side in (first, second)
    ]
    return sorted({text for a in sides[0] for b in sides[1] for text in unlike_machines(a, b)})


def plugins(pairs: Iterable[tuple[Record, Record]]) -> list[str]:
    """Return the plugins whose versions differ between two sides."""
    differing: set[str] = set()
    for a, b in pairs:
        others = {plugin.name: plugin for plugin in b.plugins}
        for plugin in a.plugins:
            other = others.get(plugin.name)
            if other is not None and (
                (plugin.version, plugin.revision) != (other.version, other.revision)
                or is_other_source(plugin.source, other.source)
            ):
                differing.add(f"{plugin.stage} {plugin.name}: {_origin(plugin)} / {_origin(other)}")
    return sorted(differing)


def _origin(plugin: Provenance) -> str:
    return f"{plugin.distribution} {plugin.version} revision {plugin.revision} source {plugin.source or '?'}"


def specs(a: Record, b: Record) -> list[str]:
    """Return the paths at which two specs differ, each with both values."""
    one, other = (_flat({"fits": record.fits, "spec": record.spec | {"members": None}}) for record in (a, b))
    return [
        f"{path}: {_shown(one.get(path))} / {_shown(other.get(path))}"
        for path in sorted(one.keys() | other.keys())
        if one.get(path) != other.get(path)
    ]


def _flat(value: object, path: str = "") -> dict[str, object]:
    parts: Iterable[tuple[object, object]]
    join: Callable[[object], str]
    if isinstance(value, dict) and value:
        parts, join = value.items(), lambda key: f"{path}.{key}" if path else str(key)
    elif isinstance(value, list) and value:
        parts, join = enumerate(value), lambda key: f"{path}[{key}]"
    else:
        return {path: value}
    return {name: leaf for key, part in parts for name, leaf in _flat(part, join(key)).items()}


def _shown(value: object) -> str:
    return "nothing" if value is None else str(value)
