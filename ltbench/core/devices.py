"""The devices that compute: the CPU, or GPUs of this machine, by torch's names.

Nothing here imports torch on a machine without the driver of a GPU: plans and commands that compute nothing need no torch.
"""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from pathlib import Path

from ltbench.core.folders import cores
from ltbench.errors import UsageError

CPU = ("cpu",)
MOST_WORKERS = 10_000
AUTO = "auto"
_DRIVERS = (Path("/proc/driver/nvidia/version"), Path("/dev/dxg"))
"""Where Linux and its form within Windows have the driver of an NVIDIA GPU."""
_CUDA = re.compile(r"cuda(?::(?P<numbers>\d+(?:,\d+)*))?")


def devices_here(asked: str) -> tuple[str, ...]:
    """Return the devices of this machine that are asked for: `auto`, `cpu`, `cuda`, or some GPUs, `cuda:0,1`.

    `auto` are all GPUs that torch can use, else the CPU. Raises `UsageError` if something else is asked for, or a GPU that
    is not there.
    """
    if asked == "cpu":
        return CPU
    if asked == AUTO:
        return tuple(f"cuda:{number}" for number in range(gpus())) or CPU
    matched = check_device(asked)
    found = gpus()
    if not found:
        raise UsageError(
            "there is no GPU that torch can use", where=f"--device {asked}",
            why=why_no_gpu(),
            fix="--device cpu, or auto",
        )  # fmt: skip
    numbers = range(found) if matched is None else dict.fromkeys(map(int, matched.split(",")))
    if missing := [number for number in numbers if number >= found]:
        raise UsageError(
            f"there is no GPU {missing[0]}", where=f"--device {asked}",
            why=f"torch sees {found}, from 0 to {found - 1}", fix="--device cuda, for all",
        )  # fmt: skip
    return tuple(f"cuda:{number}" for number in numbers)


def check_device(asked: str) -> str | None:
    """Return the numbers of `cuda:0,1`, None for all. Raises `UsageError` if the text names no device."""
    matched = _CUDA.fullmatch(asked)
    if matched is None:
        raise UsageError(f"unknown device '{asked}'", where="--device", fix="auto, cpu, cuda, or cuda:0,1")
    return matched["numbers"]


def has_gpu_driver() -> bool:
    """Whether this machine has the driver of an NVIDIA GPU."""
    return any(path.exists() for path in _DRIVERS)


def why_no_gpu() -> str:
    """Return why torch can use no GPU of this machine."""
    if not has_gpu_driver():
        return "there is no driver of an NVIDIA GPU"
    return "torch is a build without CUDA, or sees no GPU" if _has_torch() else "torch is not installed"


@cache
def gpus() -> int:
    """Return the number of GPUs that torch can use."""
    if not has_gpu_driver() or not _has_torch():
        return 0
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _has_torch() -> bool:
    return importlib.util.find_spec("torch") is not None


def slots_on(devices: tuple[str, ...], workers: int | None, per_gpu: int) -> list[str]:
    """Return the device of each worker: one worker per core on the CPU, `per_gpu` on each GPU, or `workers` in turn.

    Raises `UsageError` for more than a machine can have.
    """
    count = workers or (cores() if devices == CPU else per_gpu * len(devices))
    if count > MOST_WORKERS:
        raise UsageError(f"{count:,} workers are too many for a machine", why=f"at most {MOST_WORKERS:,}",
                         fix="a smaller --workers or --per-gpu")  # fmt: skip
    return [devices[number % len(devices)] for number in range(count)]
