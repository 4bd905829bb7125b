"""The network of a job: built from its seed, checked, and measured."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ltbench.engine import output_checks
from ltbench.engine.determinism import seeded
from ltbench.engine.measured_cost import multiply_adds
from ltbench.errors import JobFailed
from ltbench.stages import DatasetInfo, Model


def build(model: Model, info: DatasetInfo, seed: int, device: torch.device) -> nn.Module:
    """Return the network of `model` with the initial weights of `seed`, channels_last, on the device.

    Raises `JobFailed` where it is no network, or one without `get_classifier()`.
    """
    with seeded(seed, "init", torch.device("cpu")):
        network = model.build(info.channels, info.size, len(info.classes))
    if not isinstance(network, nn.Module):
        raise output_checks.wrong(model, output_checks.described(network), "a torch.nn.Module")
    get = getattr(network, "get_classifier", None)
    if not (callable(get) and isinstance(get(), nn.Module)):
        raise output_checks.wrong(model, "a network without get_classifier()", "one whose get_classifier() is a layer")
    moved: nn.Module = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return moved


def normaliser(model: Model, info: DatasetInfo, device: torch.device) -> Callable[[Tensor], Tensor]:
    """Return a function: float [B, channels, size, size] in [0, 1] -> the same less the mean, over the deviation.

    Mean and deviation are the model's where it brings some, else the data set's.
    """
    means, deviations = model.mean_std(info.channels) or (info.mean, info.std)
    if len(means) != info.channels or len(deviations) != info.channels or min(deviations) <= 0:
        raise output_checks.wrong(
            model, f"mean and deviation {means}, {deviations}", f"{info.channels} of each, the latter > 0"
        )
    mean, deviation = (torch.tensor(values, device=device).view(1, -1, 1, 1) for values in (means, deviations))
    scale = 1 / deviation
    shift = -mean * scale
    return lambda images: images.mul(scale).add_(shift)


def set_trainable(model: Model, network: nn.Module, trainable: str) -> None:
    """Let everything learn (`all`) or the classifier alone; a frozen backbone keeps its batch statistics, too."""
    network.train(trainable == "all").requires_grad_(trainable == "all")
    if trainable == "classifier":
        head: nn.Module = network.get_classifier()  # type: ignore[operator]
        head.train().requires_grad_(True)
        if not any(True for _ in head.parameters()):
            raise output_checks.wrong(model, "a classifier without parameters", "a layer that can be trained")


def measure(model: Model, network: nn.Module, info: DatasetInfo) -> int:
    """Return the multiply-adds of one image.

    Raises `JobFailed` where the network fails on an image or does not return logits float [1, classes].
    """
    device = next(network.parameters()).device
    image = torch.zeros(1, info.channels, info.size, info.size, device=device)
    try:
        macs, logits = multiply_adds(network, image)
    except Exception as error:
        raise JobFailed(
            f"the network of model '{model.label}' fails on an image {list(image.shape[1:])}: {error}",
            where=type(model).__module__,
        ) from error
    output_checks.check_tensor(model, "logits", logits, None, [1, len(info.classes)])
    return macs
