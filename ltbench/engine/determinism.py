"""What decides whether numbers come out the same twice: seeds, threads, deterministic kernels, precision."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import torch
from torch import Tensor
from torch.utils import deterministic as deterministic_settings

from ltbench.core.spec import stream_seed


@contextmanager
def seeded(seed: int, purpose: str, device: torch.device) -> Iterator[None]:
    """Run the body with torch's global generators seeded for a purpose; afterwards they are as they were."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(stream_seed(seed, purpose))
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(stream_seed(seed, purpose))
        yield


@contextmanager
def reproducible(device: torch.device) -> Iterator[None]:
    """Run the body with one thread on the CPU and with deterministic kernels; afterwards all is as it was.

    Sums are split by the number of threads, so that number is fixed: a result must not depend on a machine's cores.
    Kernels on a GPU that have no deterministic form warn; on a CPU every kernel has one.
    """
    threads, kernels = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    fill = deterministic_settings.fill_uninitialized_memory  # type: ignore[attr-defined]
    if device.type == "cpu":
        torch.set_num_threads(1)
    else:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic with it only
    # `use_deterministic_algorithms` does the same, and imports torch's compiler: seconds where one only predicts.
    torch.set_deterministic_debug_mode("error" if device.type == "cpu" else "warn")
    deterministic_settings.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_deterministic_debug_mode(kernels)
        deterministic_settings.fill_uninitialized_memory = fill  # type: ignore[attr-defined]


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Return the context of a forward pass in this precision, `fp32` or `bf16`."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


def random_state(device: torch.device) -> Tensor:
    """Return the state of torch's global generator for the device: what dropout draws from."""
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


def set_random_state(state: Tensor, device: torch.device) -> None:
    """Put back what `random_state` returned."""
    if device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    else:
        torch.set_rng_state(state)
