"""Reproducibility: seeds, thread count, deterministic kernels and precision."""

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
    """Seed torch's global generators for a purpose within the block; restore them afterwards."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        # Not torch.manual_seed: it seeds every device, and fork_rng restores only those in its list.
        torch.default_generator.manual_seed(stream_seed(seed, purpose))
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(stream_seed(seed, purpose))
        yield


@contextmanager
def reproducible(device: torch.device, kernels: str = "deterministic") -> Iterator[None]:
    """Use deterministic kernels, and one thread on the CPU, within the block; restore the settings afterwards.

    Threads split sums, which changes their last bits, so the thread count is fixed: a result must not depend on the
    number of cores. GPU kernels without a deterministic form only warn; on the CPU every kernel has one. kernels: those
    of a GPU, `deterministic` or `fastest`, see `Recipe`.
    """
    threads, mode, benchmark = (
        torch.get_num_threads(), torch.get_deterministic_debug_mode(), torch.backends.cudnn.benchmark,
    )  # fmt: skip
    fastest = kernels == "fastest" and device.type == "cuda"
    fill = deterministic_settings.fill_uninitialized_memory  # type: ignore[attr-defined]
    if device.type == "cpu":
        torch.set_num_threads(1)
    else:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is not deterministic without it
    # `use_deterministic_algorithms` does the same but imports torch's compiler, which takes seconds.
    torch.set_deterministic_debug_mode("error" if device.type == "cpu" else "default" if fastest else "warn")
    torch.backends.cudnn.benchmark = fastest
    # On by default in deterministic mode; it takes time, and changes a result only where unwritten memory is read.
    deterministic_settings.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_deterministic_debug_mode(mode)
        torch.backends.cudnn.benchmark = benchmark
        deterministic_settings.fill_uninitialized_memory = fill  # type: ignore[attr-defined]


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Return the context manager for a forward pass in this precision, `fp32` or `bf16`."""
    # CUDA graphs cannot use the cache of converted weights, and passes outside of them are to be the same.
    return torch.autocast(
        device.type, dtype=torch.bfloat16, enabled=precision == "bf16", cache_enabled=device.type == "cpu"
    )


def random_state(device: torch.device) -> Tensor:
    """Return the state of the device's global generator, which dropout draws from."""
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


def set_random_state(state: Tensor, device: torch.device) -> None:
    """Restore a state that `random_state` returned."""
    if device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    else:
        torch.set_rng_state(state)
