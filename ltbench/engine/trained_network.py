"""The network of a stored fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ltbench.core.spec import Spec
from ltbench.engine.structure import Structure
from ltbench.engine.tensor_files import read_tensors
from ltbench.stages import DatasetInfo
from ltbench.store.format import WEIGHTS

if TYPE_CHECKING:
    from ltbench.executor import Context, Techniques


def trained_network(fit: str, context: Context, info: DatasetInfo, device: torch.device) -> nn.Module:
    """Return the network of a fit with its trained weights, in evaluation mode.

    fit: its key; info: of its data set.
    """
    meta = context.store.meta(fit)
    weights = read_tensors(context.store.checked(fit) / WEIGHTS)[0]
    return rebuilt(meta["spec"], meta["data"]["counts"], weights, context.registry, info, device)


def rebuilt(
    spec: Spec, counts: Sequence[int], weights: Mapping[str, Tensor], registry: Techniques, info: DatasetInfo,
    device: torch.device,
) -> nn.Module:  # fmt: skip
    """Return the network of a fit with these weights, all that it has, in evaluation mode.

    spec: of the fit; counts: of its training images. Raises `RuntimeError` if the weights are not those of the network.
    """
    network = Structure(spec, registry, trained=True).build(info, torch.tensor(counts, device=device), device)
    network.load_state_dict(weights)
    return network.eval()
