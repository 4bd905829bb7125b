"""The network of a stored fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ltbench.core.spec import Spec
from ltbench.engine.structure import Structure, classifier_of
from ltbench.engine.tensor_files import read_tensors, strip_prefix
from ltbench.stages import DatasetInfo
from ltbench.store.format import WEIGHTS

if TYPE_CHECKING:
    from ltbench.executor import Context, Techniques


def trained_network(fit: str, context: Context, info: DatasetInfo, device: torch.device) -> nn.Module:
    """Return the network of a fit with its trained weights, in evaluation mode: images in, logits out.

    fit: its key; info: of its data set.
    """
    meta = context.store.meta(fit)
    spec, counts = meta["spec"], meta["data"]["counts"]
    weights = read_tensors(context.store.checked(fit) / WEIGHTS)[0]
    if "features" not in spec:
        return rebuilt(spec, counts, weights, context.registry, info, device)
    # Only the classifier is stored: the backbone is the pretrained one.
    network = _built(_whole(spec), counts, context.registry, info, device, trained=False)
    classifier_of(network).load_state_dict(strip_prefix("classifier", weights))
    return network.eval()


def rebuilt(
    spec: Spec, counts: Sequence[int], weights: Mapping[str, Tensor], registry: Techniques, info: DatasetInfo,
    device: torch.device,
) -> nn.Module:  # fmt: skip
    """Return the whole network of a fit with these weights, all that it has, in evaluation mode.

    spec: of the fit; counts: of its training images. Raises `RuntimeError` if the weights are not those of the network.
    """
    network = _built(_whole(spec), counts, registry, info, device, trained=True)
    network.load_state_dict(weights)
    return network.eval()


def _whole(spec: Spec) -> Spec:
    """Return the spec of the network from images to logits of a fit that may have trained on features."""
    return {key: value for key, value in spec.items() if key != "features"}


def _built(
    spec: Spec, counts: Sequence[int], registry: Techniques, info: DatasetInfo, device: torch.device, *, trained: bool
) -> nn.Module:
    return Structure(spec, registry, trained=trained).build(info, torch.tensor(counts, device=device), device)


def trained_classifier(fit: str, context: Context, info: DatasetInfo, device: torch.device) -> nn.Module:
    """Return the network of a fit that trained on features: its classifier, from features to logits. As `trained_network`."""
    meta = context.store.meta(fit)
    network = _built(meta["spec"], meta["data"]["counts"], context.registry, info, device, trained=False)
    network.load_state_dict(read_tensors(context.store.checked(fit) / WEIGHTS)[0])
    return network.eval()
