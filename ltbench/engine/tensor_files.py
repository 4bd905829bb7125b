"""Files of an artefact: tensors as safetensors, everything else as JSON; never pickle, which can run code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

_JSON = "json"


def write_tensors(path: Path, tensors: Mapping[str, Tensor], extra: Mapping[str, Any] | None = None) -> None:
    """Write tensors, and extra JSON values in the same file. Memory layout and device are not kept."""
    # clone: safetensors refuses tensors that share memory, such as tied weights.
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    metadata = None if extra is None else {_JSON: msgspec.json.encode(extra).decode()}
    # Not `save_file`: its files are readable by their owner only, and a store may be shared.
    path.write_bytes(save(plain, metadata))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors, on the CPU, and the extra values of a file that `write_tensors` wrote."""
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dictionary
        metadata = file.metadata() or {}
    return tensors, msgspec.json.decode(metadata.get(_JSON, "{}"))


def strip_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names start with `prefix.`, named without it."""
    return {name[len(prefix) + 1 :]: tensor for name, tensor in tensors.items() if name.startswith(f"{prefix}.")}


def add_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors with `prefix.` before their names; `strip_prefix` is the inverse."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}
