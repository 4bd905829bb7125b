"""A device that is not there, so that code can be tried for mixing devices on a machine that has only one.

Tensors that are moved to it keep their numbers on the CPU and say that they lie on `DEVICE`. Within `pretending`, what
torch is asked goes by its rules for two devices: what is created without a device lies on the CPU, results lie where
their inputs lie, and what needs both on one device raises as torch does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.overrides import TorchFunctionMode

DEVICE = torch.device("cuda", 0)


class Guest(Tensor):
    """A tensor that says it lies on `DEVICE`."""


class _GuestGenerator(Generator):
    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return DEVICE


def make_generator(seed: int) -> Generator:
    """Return a generator that says it is of `DEVICE`."""
    made = _GuestGenerator()
    made.manual_seed(seed)
    return made


def there(tensor: Tensor) -> Tensor:
    """Return a copy of a tensor that lies on `DEVICE`."""
    return tensor.detach().clone().as_subclass(Guest)


def is_there(tensor: Tensor) -> bool:
    """Tell whether a tensor lies on `DEVICE`."""
    return isinstance(tensor, Guest)


def move(network: nn.Module) -> None:
    """Move parameters and buffers of a network to `DEVICE`; it can compute afterwards, and not learn."""
    for module in network.modules():
        for held in (module._parameters, module._buffers):  # noqa: SLF001 - nn.Module refuses what is no Parameter
            for name, tensor in held.items():
                if tensor is not None:
                    held[name] = tensor.detach().as_subclass(Guest)  # type: ignore[assignment]


_INDEXING = ("__getitem__", "__setitem__", "index_put_", "index_put")
"""What takes indices from the CPU, whatever device the tensor is on."""
_OFF = ("numpy", "__array__")
_PLAIN = (
    "tolist",
    "item",
    "__int__",
    "__float__",
    "__bool__",
    "__index__",
    "__len__",
    "__repr__",
    "__format__",
    "size",
    "dim",
    "cpu",
)
"""What gives numbers, or brings them to the CPU."""


class pretending(TorchFunctionMode):  # noqa: N801 - it reads as a verb: `with pretending():`
    """Within it, torch goes by the rules for two devices."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        words = dict(kwargs or {})
        if func is torch.device:
            return func(*args, **words)
        name = getattr(func, "__name__", "")
        if name == "__get__":
            return self._attribute(func, args)
        guests = any(is_there(one) for one in _tensors((args, words)))
        target = _target(name, args, words)
        if guests and name in _OFF:
            raise TypeError(
                f"can't convert {DEVICE} device type tensor to numpy. Use Tensor.cpu() to copy the tensor first."
            )
        if guests and name not in _INDEXING and name != "to":
            _demand_one_device(name, args, words)
        drawn = words.get("generator")
        if isinstance(drawn, _GuestGenerator) and target != DEVICE and not guests:
            raise RuntimeError(
                f"Expected a 'cpu' device type for generator but found '{DEVICE.type}' ({name} without device=)"
            )
        stays = target == DEVICE if target is not None else guests and name not in _PLAIN
        if "device" in words and words["device"] is not None:
            words["device"] = "cpu"
        if name in {"to", "cuda"}:
            args = (args[0], *("cpu" if _as_device(one) else one for one in args[1:]))
            func = Tensor.to if name == "cuda" else func
            args = (args[0], "cpu") if name == "cuda" else args
        with torch._C.DisableTorchFunctionSubclass():  # noqa: SLF001 - what torch's own subclasses use
            result = func(*args, **words)
        if name.endswith("_") and not name.endswith("__"):
            return args[0]  # in place: the tensor itself, wherever it lies
        return _placed(result, there=stays)

    @staticmethod
    def _attribute(func: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        if is_there(args[0]):
            if func == Tensor.device.__get__:
                return DEVICE
            if func == Tensor.is_cuda.__get__:  # type: ignore[attr-defined]
                return True
            if func == Tensor.is_cpu.__get__:  # type: ignore[attr-defined]
                return False
        with torch._C.DisableTorchFunctionSubclass():  # noqa: SLF001
            result = func(*args)
        return _placed(result, there=is_there(args[0]))


def _target(name: str, args: tuple[Any, ...], words: Mapping[str, Any]) -> torch.device | None:
    """Return the device that a call asks for; None where it goes by its inputs."""
    asked = words.get("device")
    if name == "cuda":
        return DEVICE
    if name == "to" and asked is None:
        asked = next((one for one in args[1:] if _as_device(one) is not None), None)
    if asked is None and name == "to":
        other = next((one for one in args[1:] if isinstance(one, Tensor)), None)
        return None if other is None else DEVICE if is_there(other) else torch.device("cpu")
    return _as_device(asked)


def _as_device(value: Any) -> torch.device | None:
    if isinstance(value, torch.device):
        found = value
    elif isinstance(value, str) and not value.startswith("torch."):
        found = torch.device(value)
    else:
        return None
    return DEVICE if found.type == DEVICE.type else found


def _tensors(values: Any) -> Iterator[Tensor]:
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, (list, tuple)):
        for value in values:
            yield from _tensors(value)
    elif isinstance(values, dict):
        yield from _tensors(list(values.values()))


def _demand_one_device(name: str, *given: Any) -> None:
    for tensor in _tensors(given):
        with torch._C.DisableTorchFunctionSubclass():  # noqa: SLF001
            single = tensor.dim() == 0  # a single number of the CPU goes with any device
        if not is_there(tensor) and not single:
            raise RuntimeError(
                f"Expected all tensors to be on the same device, but found at least two devices, {DEVICE} and cpu! ({name})"
            )


def _placed(result: Any, *, there: bool) -> Any:
    if isinstance(result, Tensor):
        with torch._C.DisableTorchFunctionSubclass():  # noqa: SLF001
            return result.as_subclass(Guest if there else Tensor)
    if type(result) in {list, tuple}:
        return type(result)(_placed(one, there=there) for one in result)
    if isinstance(result, tuple):  # a named one, such as that of max
        return type(result)([_placed(one, there=there) for one in result])
    return result
