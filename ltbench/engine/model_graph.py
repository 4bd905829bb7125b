"""A whole trained model as one program, for `torch.export` and ONNX, and the network of timm with its weights."""

from __future__ import annotations

import contextlib
import copy
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ltbench.engine.determinism import reproducible
from ltbench.engine.model_networks import CPU, RunningNetwork
from ltbench.engine.network import scale_and_shift
from ltbench.engine.predict import outputs_of
from ltbench.errors import JobFailed, MissingExtra
from ltbench.stages import TimmNetwork

if TYPE_CHECKING:
    from ltbench.engine.views import ViewImages
    from ltbench.stages import FloatArray

Adjust = Callable[[Tensor, Tensor], Tensor]
"""Logits float [N, C] of a branch and its features float [N, D] -> adjusted logits."""
_EXAMPLES = 2
"""Images to trace with: 1 would be taken for a constant of the program."""


def scaled(scale: Sequence[float], shift: Sequence[float]) -> Adjust:
    """Return the adjustment of logits [N, C] by a factor and a number for each class."""
    factor, number = (torch.tensor(values, dtype=torch.float32) for values in (scale, shift))
    return lambda logits, _features: logits * factor + number


class MemberGraph(nn.Module):
    """One network with its normalisation, views, posthoc and branches: pixels in [0, 1] -> probabilities float [N, C]."""

    pixel_scale: Tensor
    pixel_shift: Tensor

    def __init__(
        self, running: RunningNetwork, adjust: Sequence[Sequence[Adjust]], merge: Callable[[Tensor], Tensor] | None,
        weights: Sequence[float] | None, *, features: bool,
    ) -> None:  # fmt: skip
        """adjust: by the posthoc, for each view and branch, with or without `features`; merge: of the branches; weights: in its place."""
        super().__init__()
        self.network = _without_hidden_children(copy.deepcopy(running.network))
        self.views: list[ViewImages] = list(running.views)
        self.merge = merge
        for name, value in zip(
            ("pixel_scale", "pixel_shift"), scale_and_shift(running.mean, running.deviation, CPU), strict=True
        ):
            self.register_buffer(name, value)
        self.adjust, self.features = adjust, features
        self.weights = None if weights is None else [float(weight) for weight in weights]

    def forward(self, pixels: Tensor) -> Tensor:
        images = pixels * self.pixel_scale + self.pixel_shift
        probabilities = []
        for number, view in enumerate(self.views):
            viewed = view(images).contiguous(memory_format=torch.channels_last)
            branches, *taken = outputs_of(self.network, viewed, features=self.features)
            given = taken[0] if taken else branches
            adjusted = torch.stack([
                one(branches[branch], given[branch]) for branch, one in enumerate(self.adjust[number])
            ])  # fmt: skip
            if self.weights is not None:
                logits = sum(weight * adjusted[branch] for branch, weight in enumerate(self.weights))
            else:
                logits = adjusted[0] if self.merge is None else self.merge(adjusted)
            probabilities.append(torch.softmax(logits, dim=-1))  # type: ignore[arg-type]
        return torch.stack(probabilities).mean(0)


class ModelGraph(nn.Module):
    """All members of a model: images uint8 [N, channels, size, size] -> probabilities float32 [N, C]."""

    def __init__(self, members: Sequence[MemberGraph], rule: str) -> None:
        """rule: of merging members, as in a description."""
        super().__init__()
        self.members, self.rule = nn.ModuleList(members), rule

    def forward(self, images: Tensor) -> Tensor:
        pixels = images.float() * (1 / 255)
        each = torch.stack([member(pixels) for member in self.members])
        if self.rule == "mean":
            return each.mean(0)
        logs = each.clamp_min(torch.finfo(each.dtype).tiny).log()
        return torch.softmax(logs.sum(0) if self.rule == "product" else logs.mean(0), dim=-1)

    def probabilities(self, images: Any) -> FloatArray:
        """Return what the module returns, without gradients, for a numpy array."""
        with reproducible(CPU), torch.inference_mode():
            found: FloatArray = self.eval()(torch.tensor(images)).numpy()
        return found


class Program:
    """A model as a program of torch."""

    def __init__(self, graph: ModelGraph, images: Any) -> None:
        """Trace the model. images: some, uint8 [N, channels, size, size]. Raises `JobFailed` if torch cannot trace it."""
        first = torch.from_numpy(np.ascontiguousarray(images[:1])).repeat(_EXAMPLES, 1, 1, 1)
        batch = torch.export.Dim("batch")
        try:
            with _quiet(), reproducible(CPU), torch.no_grad():
                self._program = torch.export.export(graph.eval(), (first,), dynamic_shapes=({0: batch},), strict=False)
        except Exception as error:
            raise JobFailed(
                "torch.export cannot trace the network", why=f"{type(error).__name__}: {_first_line(error)}"
            ) from error

    def save(self, path: Path) -> None:
        """Write it for `torch.export.load`."""
        with _quiet():
            torch.export.save(self._program, path)

    def save_onnx(self, path: Path) -> None:
        """Write it as ONNX. Raises `MissingExtra` without the packages, `JobFailed` if the exporter fails."""
        if missing := missing_onnx():
            raise MissingExtra.of("ONNX", missing, "onnx")
        try:
            with _quiet():
                torch.onnx.export(
                    self._program, (), str(path), dynamo=True, external_data=False, verbose=False,
                    input_names=["images"], output_names=["probabilities"],
                )  # fmt: skip
        except Exception as error:
            raise JobFailed(
                "torch cannot write the network as ONNX", why=f"{type(error).__name__}: {_first_line(error)}"
            ) from error


def missing_onnx() -> str:
    """Return a package that ONNX needs and that is not installed; empty if all are."""
    import importlib.util

    return next((name for name in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(name) is None), "")


def run_program(path: Path, images: Any) -> FloatArray:
    """Return the probabilities of a file that `Program` wrote, float [N, C], as those who load it get them."""
    if path.suffix == ".onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        result: FloatArray = session.run(["probabilities"], {"images": images})[0]
        return result
    with _quiet(), torch.no_grad():
        program = torch.export.load(path).module()
        probabilities: FloatArray = program(torch.from_numpy(images)).numpy()
    return probabilities


def timm_prefix(network: nn.Module, made: TimmNetwork, images: Tensor) -> str | None:
    """Return what the names of weights have before those of timm; None if timm's network is another one.

    images: float [N, channels, size, size], normalised, on which both have to agree.
    """
    import timm

    try:
        with torch.random.fork_rng(devices=[]):
            plain = timm.create_model(made.name, **made.arguments).eval()
    except Exception:  # noqa: BLE001 - whatever timm says, the network is not loaded by it then
        return None
    weights, prefix = network.state_dict(), ""
    while weights.keys() != plain.state_dict().keys() and all(
        name.startswith(f"{prefix}network.") for name in network.state_dict()
    ):
        prefix += "network."
        weights = {name.removeprefix(prefix): value for name, value in network.state_dict().items()}
    try:
        plain.load_state_dict(weights)
    except RuntimeError:
        return None
    plain = plain.to(memory_format=torch.channels_last)
    with reproducible(CPU), torch.inference_mode():
        given = images if not made.resize else nn.functional.interpolate(
            images, (made.resize,) * 2, mode="bilinear", antialias=True
        )  # fmt: skip
        channels_last = {"memory_format": torch.channels_last}
        same = torch.allclose(
            plain(given.contiguous(**channels_last)), network(images.contiguous(**channels_last)), rtol=1e-4, atol=1e-5
        )
    return prefix if same else None


def _without_hidden_children(network: nn.Module) -> nn.Module:
    """Let a child module that a method of the same name hides be found again, as tracing looks for it; in place.

    That is the case for networks of timm whose stages are `blocks`, with our method of that name.
    """
    for module in network.modules():
        while any(getattr(module, name, child) is not child for name, child in module.named_children()):
            module.__class__ = type(module).__mro__[1]
    return network


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what torch's exporters say of their own code from users."""
    loggers = [logging.getLogger(name) for name in ("torch.export", "torch.onnx", "torch", "onnxscript")]
    levels = [one.level for one in loggers]
    try:
        with warnings.catch_warnings(), Path(os.devnull).open("w", encoding="utf-8") as nowhere:
            warnings.simplefilter("ignore")
            for one in loggers:
                one.setLevel(logging.ERROR)
            with contextlib.redirect_stdout(nowhere):
                yield
    finally:
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)
