"""Files of an artefact: tensors as safetensors, everything else as JSON; never pickle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from ltbench.core.spec import canonical

_JSON = "json"


def write_tensors(path: Path, tensors: Mapping[str, Tensor], extra: Mapping[str, Any] | None = None) -> None:
    """Write tensors, and JSON values beside them. Values are kept, memory layout and device are not.

    Written from bytes, because `save_file` of the library makes files that nobody else may read.
    """
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    metadata = None if extra is None else {_JSON: msgspec.json.encode(extra).decode()}
    path.write_bytes(save(plain, metadata))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return what `write_tensors` wrote, on the CPU."""
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dictionary
        metadata = file.metadata() or {}
    return tensors, msgspec.json.decode(metadata.get(_JSON, "{}"))


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write JSON values, with sorted keys."""
    path.write_bytes(msgspec.json.format(canonical(values), indent=1) + b"\n")


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names begin with `prefix.`, by the rest of their names."""
    return {name[len(prefix) + 1 :]: tensor for name, tensor in tensors.items() if name.startswith(f"{prefix}.")}


def prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors under names that begin with `prefix.`, as `under` takes them back."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}
