"""The environment of a job: versions, processor, device, and the commit of a source checkout."""

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
_MODEL = ("vendor_id", "cpu family", "model", "cpu implementer", "cpu part")
_INSTRUCTIONS = (
    "avx2", "fma", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "asimd", "sve", "bf16",
)  # fmt: skip
"""Instructions by which oneDNN, MKL and OpenBLAS choose a kernel."""


def environment(device: torch.device) -> dict[str, Any]:
    """Return the facts about machine and software that a record holds, as plain JSON values."""
    return {
        "ltbench": __version__,
        "python": platform.python_version(),
        **{name: _version(name) for name in _PACKAGES},
        "platform": f"{platform.system()} {platform.machine()}",
        **_processor(),
        # The instruction set that torch itself uses; its libraries choose by model and instructions.
        "capability": torch.backends.cpu.get_cpu_capability(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
        **(_gpu_kernels() if device.type == "cuda" else {}),
        **_commit(),
    }


def _gpu_kernels() -> dict[str, Any]:
    """Return what decides which kernels of a GPU run, and with it last bits."""
    return {
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
        "tf32": f"convolutions {torch.backends.cudnn.allow_tf32}, products {torch.backends.cuda.matmul.allow_tf32}",
        "deterministic": torch.get_deterministic_debug_mode() > 0,
    }


@cache
def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


@cache
def _processor() -> dict[str, str]:
    """Return name, model and instructions of the processor.

    Cloud machines may report only a name such as "AMD EPYC", which covers five generations with different last bits.
    """
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    # The first processor; ARM uses other field names.
    fields: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip().lower(), value.strip())
    flags = set((fields.get("flags") or fields.get("features", "")).split())
    model = [fields[name] for name in _MODEL if name in fields]
    return {
        "processor": fields.get("model name") or platform.processor() or platform.machine(),
        "processor_model": " ".join(model) or platform.machine(),
        "instructions": " ".join(name for name in _INSTRUCTIONS if name in flags),
    }


@cache
def _commit() -> dict[str, Any]:
    """Return the commit, and whether tracked files differ from it; both None outside a source checkout of ltbench."""
    folder = package_root()
    # Check for a tracked file of ltbench: an installed copy may lie inside another project's repository.
    if _git(folder, "ls-files", "--error-unmatch", "__init__.py") is None:
        return {"commit": None, "dirty": None}
    status = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return {"commit": _git(folder, "rev-parse", "HEAD"), "dirty": None if status is None else bool(status)}


def _git(folder: Path, *args: str) -> str | None:
    try:
        completed = subprocess.run(
            ["git", "-C", str(folder), *args], capture_output=True, text=True, check=False, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return completed.stdout.strip() if completed.returncode == 0 else None
