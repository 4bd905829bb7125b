"""The network of a stored fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from ltbench.engine.structure import Structure
from ltbench.engine.tensor_files import read_tensors
from ltbench.stages import DatasetInfo
from ltbench.store.format import WEIGHTS

if TYPE_CHECKING:
    from ltbench.executor import Context


def trained_network(fit: str, context: Context, info: DatasetInfo, device: torch.device) -> nn.Module:
    """Return the network of a fit with its trained weights, in evaluation mode.

    fit: its key; info: of its data set.
    """
    meta = context.store.meta(fit)
    counts = torch.tensor(meta["data"]["counts"], device=device)
    network = Structure(meta["spec"], context.registry).build(info, counts, device)
    network.load_state_dict(read_tensors(context.store.checked(fit) / WEIGHTS)[0])
    return network.eval()
