"""The measured cost of a training: multiply-adds per image, and peak memory."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

_PROC = Path("/proc/self")


def multiply_adds(network: nn.Module, image: Tensor) -> tuple[int, Tensor]:
    """Return the multiply-adds of convolutions and matrix products for an image, and its logits.

    image: float [1, channels, size, size]. The network keeps its mode (training or evaluation).
    """
    training, counter = network.training, FlopCounterMode(display=False)
    network.eval()
    try:
        with counter, torch.no_grad():
            logits: Tensor = network(image)
    finally:
        network.train(training)
    return int(counter.get_total_flops()) // 2, logits  # torch counts a multiply-add as two operations


def reset_peak_memory(device: torch.device) -> None:
    """Start a new measurement for `peak_memory`, if the system supports it."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    try:
        (_PROC / "clear_refs").write_text("5")  # 5 resets the peak of the resident size, see proc(5)
    except OSError:
        return


def peak_memory(device: torch.device) -> int:
    """Return the peak memory in bytes: resident size of this process on a CPU, allocated by torch on a GPU.

    Measured since `reset_peak_memory` on Linux and on a GPU; elsewhere since the process started.
    """
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    try:
        for line in (_PROC / "status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024  # kibibytes, but bytes on macOS
