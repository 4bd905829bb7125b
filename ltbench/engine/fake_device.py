"""A simulated second device: shows on a machine without a GPU whether code mixes devices.

Tensors on it keep their numbers on the CPU and report `DEVICE` as their device. Within `two_device_rules`, torch
follows its rules for two devices: tensors created without a device are on the CPU, results are on the device of their
inputs, and operations on tensors of both devices raise torch's error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map_only

DEVICE = torch.device("cuda", 0)


class FakeDeviceTensor(Tensor):
    """A tensor that reports `DEVICE` as its device."""


class _FakeDeviceGenerator(Generator):
    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return DEVICE


def make_generator(seed: int) -> Generator:
    """Return a generator that reports `DEVICE` as its device."""
    generator = _FakeDeviceGenerator()
    generator.manual_seed(seed)
    return generator


def to_fake_device(tensor: Tensor) -> Tensor:
    """Return a copy of a tensor on `DEVICE`."""
    return tensor.detach().clone().as_subclass(FakeDeviceTensor)


def is_on_fake_device(tensor: Tensor) -> bool:
    """Whether a tensor is on `DEVICE`."""
    return isinstance(tensor, FakeDeviceTensor)


def move_network(network: nn.Module) -> None:
    """Move parameters and buffers of a network to `DEVICE`; afterwards it can only compute, not train."""
    for module in network.modules():
        # Written past nn.Module's own setter, which accepts only a Parameter in place of a Parameter.
        for tensors in (module._parameters, module._buffers):  # noqa: SLF001
            for name, tensor in tensors.items():
                if tensor is not None:
                    tensors[name] = tensor.detach().as_subclass(FakeDeviceTensor)  # type: ignore[assignment]


_ATTRIBUTES: Mapping[Any, object] = {
    Tensor.device.__get__: DEVICE,
    Tensor.is_cuda.__get__: True,  # type: ignore[attr-defined]
    Tensor.is_cpu.__get__: False,  # type: ignore[attr-defined]
}
"""Attributes of a tensor on `DEVICE`, by their getter."""
_INDEXING = ("__getitem__", "__setitem__", "index_put_", "index_put")
"""Accept CPU indices for a tensor on any device."""
_NEEDS_CPU = ("numpy", "__array__")
"""Raise for a tensor that is not on the CPU."""
_RETURNS_TO_CPU = (
    "tolist", "item", "__int__", "__float__", "__bool__", "__index__", "__len__", "__repr__", "__format__", "size",
    "dim", "cpu",
)  # fmt: skip
"""Return Python values or a tensor on the CPU."""


class two_device_rules(TorchFunctionMode):  # noqa: N801 - a context manager: `with two_device_rules():`
    """Apply torch's rules for two devices within the block."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        keywords = dict(kwargs or {})
        if func is torch.device:
            return func(*args, **keywords)
        name = getattr(func, "__name__", "")
        if name == "__get__":
            return self._attribute(func, args)
        inputs_on_it = any(isinstance(leaf, FakeDeviceTensor) for leaf in tree_leaves((args, keywords)))
        target = _target_device(name, args, keywords)
        if inputs_on_it and name in _NEEDS_CPU:
            raise TypeError(
                f"can't convert {DEVICE} device type tensor to numpy. Use Tensor.cpu() to copy the tensor first."
            )
        if inputs_on_it and name not in _INDEXING and name != "to":
            _require_one_device(name, args, keywords)
        generator = keywords.get("generator")
        if isinstance(generator, _FakeDeviceGenerator) and target != DEVICE and not inputs_on_it:
            raise RuntimeError(
                f"Expected a 'cpu' device type for generator but found '{DEVICE.type}' ({name} without device=)"
            )
        on_it = target == DEVICE if target is not None else inputs_on_it and name not in _RETURNS_TO_CPU
        # The real call always runs on the CPU: DEVICE need not exist.
        if keywords.get("device") is not None:
            keywords["device"] = "cpu"
        if name in {"to", "cuda"}:
            args = (args[0], *("cpu" if _as_device(value) else value for value in args[1:]))
            func = Tensor.to if name == "cuda" else func
            args = (args[0], "cpu") if name == "cuda" else args
        with torch._C.DisableTorchFunctionSubclass():  # noqa: SLF001 - as torch's own subclasses do
            result = func(*args, **keywords)
        if name.endswith("_") and not name.endswith("__"):
            # In place: the tensor itself, on the device where it was. torch.nn.init passes it by its name.
            return next(iter((*args, *keywords.values())))
        return _on_device(result, fake=on_it)

    @staticmethod
    def _attribute(func: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        if is_on_fake_device(args[0]) and func in _ATTRIBUTES:
            return _ATTRIBUTES[func]
        with torch._C.DisableTorchFunctionSubclass():  # noqa: SLF001
            result = func(*args)
        return _on_device(result, fake=is_on_fake_device(args[0]))


def _target_device(name: str, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> torch.device | None:
    """Return the device that a call names; None if its inputs decide."""
    if name == "cuda":
        return DEVICE
    for value in (keywords.get("device"), *(args[1:] if name == "to" else ())):
        if isinstance(value, Tensor):
            return DEVICE if is_on_fake_device(value) else torch.device("cpu")
        if (device := _as_device(value)) is not None:
            return device
    return None


def _as_device(value: Any) -> torch.device | None:
    if isinstance(value, torch.device):
        device = value
    elif isinstance(value, str) and not value.startswith("torch."):
        device = torch.device(value)
    else:
        return None
    return DEVICE if device.type == DEVICE.type else device


def _require_one_device(name: str, *inputs: Any) -> None:
    for leaf in tree_leaves(inputs):
        # torch combines CPU scalars with tensors on any device.
        if isinstance(leaf, Tensor) and not isinstance(leaf, FakeDeviceTensor) and leaf.dim():
            raise RuntimeError(
                f"Expected all tensors to be on the same device, but found at least two devices, {DEVICE} and cpu! ({name})"
            )


def _on_device(result: Any, *, fake: bool) -> Any:
    with torch._C.DisableTorchFunctionSubclass():  # noqa: SLF001
        return tree_map_only(Tensor, lambda tensor: tensor.as_subclass(FakeDeviceTensor if fake else Tensor), result)
