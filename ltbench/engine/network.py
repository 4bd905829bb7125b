"""The network of a job: built from its seed, checked, measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ltbench.engine import output_checks
from ltbench.engine.determinism import seeded
from ltbench.engine.measured_cost import multiply_adds
from ltbench.errors import JobFailed, StateChanged
from ltbench.stages import DatasetInfo, Model


def build(model: Model, info: DatasetInfo, seed: int, device: torch.device, *, trained: bool = False) -> nn.Module:
    """Return the network of `model` with the initial weights of `seed`, channels_last, on the device.

    trained: whether its weights are read from a file afterwards, so that pretrained ones are not needed. Raises
    `JobFailed` if the model returns no network, or a network without `get_classifier()`.
    """
    return build_for(model, info.channels, info.size, len(info.classes), seed, device, trained=trained)


def build_for(
    model: Model, channels: int, size: int, classes: int, seed: int, device: torch.device, *, trained: bool = False
) -> nn.Module:
    """Return what `build` does, for images of this shape and this number of classes."""
    # Always initialised on the CPU, so that the initial weights do not depend on the device.
    with seeded(seed, "init", torch.device("cpu")), output_checks.leaving_no_state(model):
        network = (model.rebuild if trained else model.build)(channels, size, classes)
    if not isinstance(network, nn.Module):
        raise output_checks.wrong_output(model, output_checks.describe(network), "a torch.nn.Module")
    get = getattr(network, "get_classifier", None)
    if not (callable(get) and isinstance(get(), nn.Module)):
        raise output_checks.wrong_output(
            model, "a network without get_classifier()", "one whose get_classifier() is a layer"
        )
    moved: nn.Module = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return moved


def normaliser(model: Model, info: DatasetInfo, device: torch.device) -> Callable[[Tensor], Tensor]:
    """Return a function that subtracts the mean from images, float [B, channels, size, size], and divides by the SD.

    Mean and SD are the model's if it has any, else the data set's.
    """
    mean, deviation = mean_and_deviation(model, info)
    return normaliser_of(mean, deviation, device)


def mean_and_deviation(model: Model, info: DatasetInfo) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return those that images are normalised with, for pixels in [0, 1]: the model's if it has any, else the data set's."""
    with output_checks.leaving_no_state(model):
        means, deviations = model.mean_std(info.channels) or (info.mean, info.std)
    if len(means) != info.channels or len(deviations) != info.channels or min(deviations) <= 0:
        raise output_checks.wrong_output(
            model, f"mean and deviation {means}, {deviations}", f"{info.channels} of each, the latter > 0"
        )
    return tuple(means), tuple(deviations)


def normaliser_of(
    means: Sequence[float], deviations: Sequence[float], device: torch.device
) -> Callable[[Tensor], Tensor]:
    """Return the same for a given mean and SD of each channel."""
    scale, shift = scale_and_shift(means, deviations, device)
    return lambda images: images.mul(scale).add_(shift)


def scale_and_shift(means: Sequence[float], deviations: Sequence[float], device: torch.device) -> tuple[Tensor, Tensor]:
    """Return a normalisation as one multiplication and one addition, which can be in place; float [1, channels, 1, 1]."""
    mean, deviation = (torch.tensor(values, device=device).view(1, -1, 1, 1) for values in (means, deviations))
    scale = 1 / deviation
    return scale, -mean * scale


def set_trainable(model: Model, network: nn.Module, trainable: str) -> None:
    """Make all parameters trainable (`all`), or only the classifier's (`classifier`).

    A frozen backbone is in evaluation mode, so that its batch statistics are frozen, too.
    """
    network.train(trainable == "all").requires_grad_(trainable == "all")
    if trainable == "classifier":
        head: nn.Module = network.get_classifier()  # type: ignore[operator]
        head.train().requires_grad_(True)
        if next(head.parameters(), None) is None:
            raise output_checks.wrong_output(model, "a classifier without parameters", "a layer that can be trained")


def measure(model: Model, network: nn.Module, info: DatasetInfo) -> int:
    """Return the multiply-adds per image.

    Raises `JobFailed` if the network fails on an image or does not return logits, float [1, classes].
    """
    return measure_for(model, network, (info.channels, info.size, info.size), len(info.classes))


def measure_for(model: Model, network: nn.Module, shape: tuple[int, ...], classes: int) -> int:
    """Return what `measure` does, for inputs float [1, *shape]."""
    image = torch.zeros(1, *shape, device=next(network.parameters()).device)
    try:
        with output_checks.leaving_no_state(model):
            macs, logits = multiply_adds(network, image)
    except StateChanged:
        raise
    except Exception as error:
        raise JobFailed(
            f"the network of model '{model.label}' fails on an image {list(shape)}: {error}",
            where=type(model).__module__,
        ) from error
    output_checks.check_tensor(model, "logits", logits, None, [1, classes])
    return macs
