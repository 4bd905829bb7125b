"""Why two cells may have different numbers: their specs, the machines, the versions of plugins."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ltbench.core.spec import canonical
from ltbench.records.agreement import unlike_machines
from ltbench.records.record import Provenance, Record
from ltbench.registry.source_digest import is_other_source


def machines(first: Iterable[Record], second: Iterable[Record]) -> list[str]:
    """Return what differs between the machines of two sides."""
    mine = {canonical(record.environment): record.environment for record in first}
    theirs = {canonical(record.environment): record.environment for record in second}
    return sorted({text for one in mine.values() for other in theirs.values() for text in unlike_machines(one, other)})


def plugins(pairs: Iterable[tuple[Record, Record]]) -> list[str]:
    """Return the plugins that came in another version on the other side."""
    found: set[str] = set()
    for a, b in pairs:
        theirs = {plugin.name: plugin for plugin in b.plugins}
        for one in a.plugins:
            other = theirs.get(one.name)
            if other is not None and (
                (one.version, one.revision) != (other.version, other.revision)
                or is_other_source(one.source, other.source)
            ):
                found.add(f"{one.stage} {one.name}: {_made(one)} / {_made(other)}")
    return sorted(found)


def _made(plugin: Provenance) -> str:
    return f"{plugin.distribution} {plugin.version} revision {plugin.revision} source {plugin.source or '?'}"


def specs(a: Record, b: Record) -> list[str]:
    """Return the paths at which the specs of two cells differ, each with both values."""
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
