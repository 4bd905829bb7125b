"""Where a job ran: versions, processor, device, and the commit of a source checkout."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import torch

from ltbench.core.folders import package_root
from ltbench.version import __version__

_PACKAGES = ("torch", "torchvision", "timm", "numpy")


def environment(device: torch.device) -> dict[str, Any]:
    """Return what a record says of the machine and the software, as plain JSON values."""
    return {
        "ltbench": __version__,
        "python": platform.python_version(),
        **{name: _version(name) for name in _PACKAGES},
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        # Names of processors are vague on rented machines; the instructions that torch uses are what moves a bit.
        "capability": torch.backends.cpu.get_cpu_capability(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
        **_source(),
    }


@cache
def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


@cache
def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


@cache
def _source() -> dict[str, Any]:
    """Return commit and whether tracked files differ from it; both None where ltbench is no checkout."""
    here = package_root()
    # Asked of a tracked file: an installed copy may lie inside somebody else's repository.
    if _git(here, "ls-files", "--error-unmatch", "__init__.py") is None:
        return {"commit": None, "dirty": None}
    status = _git(here, "status", "--porcelain", "--untracked-files=no")
    return {"commit": _git(here, "rev-parse", "HEAD"), "dirty": None if status is None else bool(status)}


def _git(folder: Path, *args: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *args], capture_output=True, text=True, check=False, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
