"""Compares the code of a worker with that of the command, because other versions may give other numbers.

Versions are plain lists of strings, so that all versions of ltbench can read them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache

from ltbench.core.checksums import digest
from ltbench.core.folders import package_root
from ltbench.core.plugins import BUILT_IN
from ltbench.core.spec import Job, techniques_in
from ltbench.errors import LtbenchError, WorkerRefused
from ltbench.executor import Techniques
from ltbench.version import __version__

Versions = Mapping[str, Sequence[str]]
"""For ltbench, and for each technique by distribution and name: distribution, version, digest of the source."""
_OWN = "the harness"


@cache
def own_source() -> str:
    """Return a digest of the source of ltbench, as it was at this process's first call."""
    root = package_root()
    parts = [
        f"{path.relative_to(root).as_posix()}\0".encode() + bytes.fromhex(digest(path.read_bytes()))
        for path in sorted(root.rglob("*.py"))
    ]
    return digest(b"".join(parts), 12)


def versions(jobs: Iterable[Job], registry: Techniques) -> dict[str, list[str]]:
    """Return the versions of ltbench here and of every technique that the jobs use."""
    names: set[str] = set()
    for job in jobs:
        names.update(f"{spec['distribution']}/{spec['name']}" for spec in techniques_in([job.spec, job.extra]))
        if job.kind == "cell":
            names.update(registry.of("metric"))
    return _own_versions(sorted(names), registry)


def greet(command: Versions, registry: Techniques | None, *, where: str) -> None:
    """Raise `WorkerRefused` if the code here differs from that of the command.

    registry: the plugins loaded here; None to compare only ltbench, before reading anything whose format may differ.
    where: this worker, for the message.
    """
    for name, version in _own_versions(command, registry).items():
        if version != list(command.get(name, [])):
            what = "ltbench" if name == _OWN else f"technique '{name.rpartition('/')[2]}'"
            raise WorkerRefused(
                f"a worker has another version of {what} than the command",
                where=where,
                why=f"the worker has {_written(version)}, the command {_written(command.get(name, []))}",
                fix="install the same version on all workers and restart them; then run the same command to continue",
            )


def _own_versions(names: Iterable[str], registry: Techniques | None) -> dict[str, list[str]]:
    techniques = {} if registry is None else {name: _provenance(name, registry) for name in names if name != _OWN}
    return {_OWN: [BUILT_IN, __version__, own_source()]} | techniques


def _provenance(name: str, registry: Techniques) -> list[str]:
    try:
        provenance = registry.provenance(registry.entry(name).technique())
    except LtbenchError:
        return []
    return [provenance["distribution"], provenance["version"], provenance["source"]]


def _written(version: Sequence[str]) -> str:
    if not version:
        return "none"
    distribution, number, source = version
    return f"{distribution} {number} (source {source or 'unknown'})"
