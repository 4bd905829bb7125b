"""What techniques that are handed tensors have to hold on another device than the CPU.

Where there is no GPU, a device is pretended: tensors say that they lie on one, and torch's rules for two devices are
kept (`ltbench/engine/fake_device.py`). Where there is one, techniques that draw nothing run on it, too, and their results
are compared with those of the CPU; draws of a GPU are other numbers, so of the others the device is all that is
examined.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ltbench.errors import LtbenchError
from ltbench.testing.ask_everything import build, exercise
from ltbench.testing.check import per_setting, per_technique
from ltbench.testing.finding import Skip
from ltbench.testing.flat_values import difference, flat
from ltbench.testing.inputs import World
from ltbench.testing.randomness import seeded
from ltbench.testing.subject import Subject, failed

_FIX = "create tensors where the inputs are: images.new_zeros(n), torch.arange(n, device=images.device)"
_DRAWING = ("mix", "augment")


@per_setting
def goes_where_its_inputs_are(on: Subject) -> None:
    """It works on any device, returns tensors on the device of its inputs, and gives the same there.

    Tried on a device that is pretended: one that is not the CPU, with a generator of its own and the numbers of the
    CPU. No GPU is needed.
    """
    from ltbench.engine.fake_device import DEVICE, two_device_rules

    here, world = on.usual, World(device=DEVICE)
    with _told(on, _FIX), seeded(0), two_device_rules():
        result = exercise(on.technique, world)
    if not difference(here, on.outcome()) and (place := difference(here, flat(result))):
        raise failed(f"{place} differs on another device", "the same on any", "do not ask for the device of tensors")
    if strays := _on_cpu(result):
        raise failed(f"with inputs on another device {strays[0]} is on the CPU", "it on the device of the inputs", _FIX)


@contextmanager
def _told(on: Subject, fix: str) -> Iterator[None]:
    """Tell an error of another device from one that comes up anywhere."""
    try:
        yield
    except LtbenchError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, it came up there
        line = on.line(error)
        raise failed(
            f"with inputs on another device it raised {type(error).__name__}: {error}{line and f' ({line})'}",
            "the same work there", fix,
        ) from None  # fmt: skip


def _on_cpu(result: Any, place: str = "") -> list[str]:
    """Return the places of tensors that are on the CPU."""
    import msgspec
    import torch

    from ltbench.engine.fake_device import is_on_fake_device

    if isinstance(result, torch.Tensor):
        return [] if is_on_fake_device(result) else [place or "the result"]
    if isinstance(result, msgspec.Struct):
        result = {field: getattr(result, field) for field in result.__struct_fields__}
    if isinstance(result, dict):
        return [stray for key, part in result.items() for stray in _on_cpu(part, f"{place}.{key}" if place else key)]
    if isinstance(result, (list, tuple)):
        return [stray for number, part in enumerate(result) for stray in _on_cpu(part, f"{place}[{number}]")]
    return []


@per_technique
def is_the_same_on_a_gpu(on: Subject) -> None:
    """On a GPU it gives what it gives on the CPU, but for rounding.

    Skipped where there is no GPU. A mix and an augmentation have draws of their own there, and only have to work.
    """
    import torch

    if not torch.cuda.is_available():
        raise Skip("there is no GPU here; on a pretended device it was tried")
    there = on.outcome(World(device="cuda"))
    if on.technique.stage not in _DRAWING and (place := difference(on.usual, there, tolerance=1e-4)):
        raise failed(f"{place} differs on a GPU", "the same but for rounding", "no kernel that a GPU does otherwise")


@per_technique
def the_network_can_be_moved(on: Subject) -> None:
    """Every tensor of its network moves with it to another device.

    Tried on a device that is pretended: the parameters and buffers lie there, and what is neither does not.
    """
    import torch

    from ltbench.engine.fake_device import DEVICE, is_on_fake_device, move_network, two_device_rules

    network = build(on.technique, 3, 32, 10).eval()  # type: ignore[arg-type]
    move_network(network)
    images = World(device=DEVICE).tensor("images", torch.zeros(2, 3, 32, 32))
    fix = "register_buffer for tensors that are no parameters, device=images.device for those made on the way"
    with _told(on, fix), torch.no_grad(), two_device_rules():
        logits = network(images)
    if not is_on_fake_device(logits):
        raise failed("on another device its network returns logits on the CPU", "them where the images are", fix)


CHECKS = (goes_where_its_inputs_are, is_the_same_on_a_gpu)
MODEL = (the_network_can_be_moved,)
