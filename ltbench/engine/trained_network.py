"""The network of a stored fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from ltbench.engine.structure import Structure, classifier_of
from ltbench.engine.tensor_files import read_tensors, strip_prefix
from ltbench.stages import DatasetInfo
from ltbench.store.format import WEIGHTS

if TYPE_CHECKING:
    from ltbench.executor import Context


def trained_network(fit: str, context: Context, info: DatasetInfo, device: torch.device) -> nn.Module:
    """Return the network of a fit with its trained weights, in evaluation mode: images in, logits out.

    fit: its key; info: of its data set.
    """
    meta = context.store.meta(fit)
    counts = torch.tensor(meta["data"]["counts"], device=device)
    spec = {key: value for key, value in meta["spec"].items() if key != "features"}
    network = Structure(spec, context.registry).build(info, counts, device)
    weights = read_tensors(context.store.checked(fit) / WEIGHTS)[0]
    if "features" in meta["spec"]:
        classifier_of(network).load_state_dict(strip_prefix("classifier", weights))
    else:
        network.load_state_dict(weights)
    return network.eval()


def trained_classifier(fit: str, context: Context, info: DatasetInfo, device: torch.device) -> nn.Module:
    """Return the network of a fit that trained on features: its classifier, from features to logits. As `trained_network`."""
    meta = context.store.meta(fit)
    counts = torch.tensor(meta["data"]["counts"], device=device)
    network = Structure(meta["spec"], context.registry).build(info, counts, device)
    network.load_state_dict(read_tensors(context.store.checked(fit) / WEIGHTS)[0])
    return network.eval()
