"""The catalogue of techniques with parameters and sources, as markdown."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

from ltbench.core.generated_files import diff_text, display_path, read_text, splice
from ltbench.errors import OutOfDate, UsageError
from ltbench.registry.parameter_help import parameters
from ltbench.registry.registry import Registry
from ltbench.stages import STAGES, Technique

KIND = "techniques"
"""Name of the markers around the catalogue in a file."""
_SOURCE = re.compile(r"Sources?: (.+?)(?:\n\s*\n|\Z)", re.DOTALL)


def source_of(technique: type[Technique]) -> str:
    """Return the source named in a technique's docstring; empty without one."""
    match = _SOURCE.search(inspect.getdoc(technique) or "")
    return " ".join(match[1].split()).rstrip(".") if match else ""


def first_line(technique: type[Technique]) -> str:
    """Return the first line of a technique's docstring."""
    return (inspect.getdoc(technique) or "").partition("\n")[0].partition(" Source:")[0]


def markdown(registry: Registry, stage: str | None = None) -> list[str]:
    """Return a section with a table for each stage, or for one stage."""
    lines = [line for name in STAGES if stage in {None, name} for line in _section(name, registry)]
    return [*lines, *(_methods(registry) if stage in {None, "method"} else [])]


def _methods(registry: Registry) -> Iterator[str]:
    if not registry.methods:
        return
    yield from ("", "## method: techniques of several stages under one name", "")
    yield "| method | what it is | parts | source | plugin |"
    yield "|---|---|---|---|---|"
    for name, method in sorted(registry.methods.items()):
        source = registry.method_sources[name]
        parts = " + ".join(f"`{part}`" for part in method.parts)
        plugin = source.distribution if source.plugin == name else f"{source.distribution}: {source.plugin}"
        cells = (f"`{name}`", method.about, parts, method.source, plugin)
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _section(stage: str, registry: Registry) -> Iterator[str]:
    techniques = registry.of(stage)
    if not techniques:
        return
    yield from ("", f"## {stage}: {STAGES[stage].about}", "")
    yield "| technique | what it does | parameters | source | plugin |"
    yield "|---|---|---|---|---|"
    for name, technique in techniques.items():
        entry = registry.entries[name]
        values = "<br>".join(f"`{p.name}={p.default}` ({p.allowed})" for p in parameters(technique))
        cells = (
            f"`{name}`" + (" (baseline)" if technique.baseline else ""), first_line(technique), values,
            source_of(technique), entry.distribution if entry.plugin == name else f"{entry.distribution}: {entry.plugin}",
        )  # fmt: skip
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def spliced(path: Path, registry: Registry) -> str:
    """Return the text of a file with the current catalogue. Raises `UsageError` if it has no markers for it."""
    text = read_text(path)
    made = splice(text, KIND, lambda name: [*markdown(registry, name or None), ""], display_path(path))
    if f"<!-- ltbench:{KIND}" not in text:
        raise UsageError(f"{display_path(path)} has no markers for the catalogue",
                         fix=f"add <!-- ltbench:{KIND} --> and <!-- /ltbench:{KIND} -->, each on its own line")  # fmt: skip
    return made


def check(path: Path, registry: Registry, command: str) -> None:
    """Raise `OutOfDate` with the differences if a file is out of date. command: how to update it."""
    text = spliced(path, registry)
    if text != read_text(path):
        raise OutOfDate(f"the catalogue is out of date: {display_path(path)}\n{diff_text([(path, text)])}", fix=command)
