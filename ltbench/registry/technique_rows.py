"""The installed techniques and methods as rows: stage, parameters, plugin and version, what they do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ltbench.errors import UnknownName
from ltbench.registry.parameter_help import parameters
from ltbench.stages import STAGES

if TYPE_CHECKING:
    from ltbench.registry.registry import Registry

METHOD = "method"
"""Stands for a stage: the named bundles of techniques."""


def check_stage(stage: str | None) -> None:
    """Raise `UnknownName` unless it is a stage, `method`, or None."""
    if stage is not None and stage not in (*STAGES, METHOD):
        raise UnknownName.of("stage", stage, (*STAGES, METHOD))


def technique_rows(registry: Registry, stage: str | None = None) -> list[dict[str, Any]]:
    """Return the techniques by stage, then the methods. stage: only these; or `method`."""
    rows: list[dict[str, Any]] = [
        {
            "stage": name,
            "technique": technique,
            "baseline": kind.baseline,
            "parameters": {p.name: p.default for p in parameters(kind)},
            "plugin": registry.entries[technique].distribution,
            "version": registry.entries[technique].version,
            "about": (kind.__doc__ or "").strip().split("\n")[0],
        }
        for name in STAGES
        if stage in {None, name}
        for technique, kind in registry.of(name).items()
    ]
    return rows + [_method(registry, name) for name in sorted(registry.methods) if stage in {None, METHOD}]


def _method(registry: Registry, name: str) -> dict[str, Any]:
    method, source = registry.methods[name], registry.method_sources[name]
    return {
        "stage": METHOD,
        "technique": name,
        "baseline": False,
        "parameters": {},
        "parts": method.parts,
        "plugin": source.distribution,
        "version": source.version,
        "about": method.about,
    }
