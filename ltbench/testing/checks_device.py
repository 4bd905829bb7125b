"""Checks of techniques with tensors on a device other than the CPU.

A simulated device needs no GPU: tensors report it as their device, and torch's rules for two devices are enforced
(`ltbench/engine/fake_device.py`). On a machine with a GPU, results are also compared with those of the CPU, except for
techniques with random draws, which differ between devices.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ltbench.errors import LtbenchError
from ltbench.testing.check import per_setting, per_technique
from ltbench.testing.finding import Skip
from ltbench.testing.flat_values import difference, flat, values
from ltbench.testing.inputs import Inputs
from ltbench.testing.randomness import seeded
from ltbench.testing.stage_calls import build, call_all
from ltbench.testing.subject import Subject, failed

_FIX = "create tensors on the device of the inputs: images.new_zeros(n), torch.arange(n, device=images.device)"
_DRAWING = ("mix", "augment")


@per_setting
def runs_on_the_device_of_its_inputs(on: Subject) -> None:
    """Results are equal on any device and are on the device of the inputs.

    Tested on a simulated device, which has its own generator and computes like the CPU. No GPU is needed.
    """
    from ltbench.engine.fake_device import DEVICE, two_device_rules

    here, inputs = on.default_result, Inputs(device=DEVICE)
    with _blaming_the_device(on, _FIX), seeded(0), two_device_rules():
        result = call_all(on.technique, inputs)
    if not difference(here, on.result()) and (place := difference(here, flat(result))):
        raise failed(f"{place} differs on another device", "equal results", "do not branch on the device of tensors")
    if strays := _on_cpu(result):
        raise failed(
            f"with inputs on another device {strays[0]} is on the CPU", "tensors on the device of the inputs", _FIX
        )


@contextmanager
def _blaming_the_device(on: Subject, fix: str) -> Iterator[None]:
    """Report an error in the block as one that only occurs on another device."""
    try:
        yield
    except LtbenchError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a plugin raises
        line = on.line(error)
        raise failed(
            f"with inputs on another device it raised {type(error).__name__}: {error}{line and f' ({line})'}",
            "the same results as on the CPU", fix,
        ) from None  # fmt: skip


def _on_cpu(result: Any) -> list[str]:
    """Return the places of a result where tensors are on the CPU."""
    import torch

    from ltbench.engine.fake_device import is_on_fake_device

    tensors = [(place, value) for place, value in values(result) if isinstance(value, torch.Tensor)]
    return [place for place, tensor in tensors if not is_on_fake_device(tensor)]


@per_technique
def is_the_same_on_a_gpu(on: Subject) -> None:
    """Results on a GPU equal those on the CPU up to rounding.

    Skipped without a GPU. Mixes and augmentations draw other numbers there, so they only have to run.
    """
    import torch

    if not torch.cuda.is_available():
        raise Skip("there is no GPU; runs_on_the_device_of_its_inputs tests a simulated device")
    there = on.result(Inputs(device="cuda"))
    if on.technique.stage not in _DRAWING and (place := difference(on.default_result, there, tolerance=1e-4)):
        raise failed(
            f"{place} differs on a GPU",
            "equal results up to rounding",
            "avoid operations that give other results on a GPU",
        )


@per_technique
def network_moves_between_devices(on: Subject) -> None:
    """Every tensor of the network moves with it to another device.

    Tested on a simulated device, to which only parameters and buffers are moved.
    """
    import torch

    from ltbench.engine.fake_device import DEVICE, is_on_fake_device, move_network, two_device_rules

    network = build(on.technique, 3, 32, 10).eval()
    move_network(network)
    images = Inputs(device=DEVICE).tensor("images", torch.zeros(2, 3, 32, 32))
    fix = "use register_buffer for tensors that are not parameters, and device=images.device for temporary ones"
    with _blaming_the_device(on, fix), torch.no_grad(), two_device_rules():
        logits = network(images)
    if not is_on_fake_device(logits):
        raise failed(
            "on another device the network returns logits on the CPU", "logits on the device of the images", fix
        )


CHECKS = (runs_on_the_device_of_its_inputs, is_the_same_on_a_gpu)
MODEL = (network_moves_between_devices,)
