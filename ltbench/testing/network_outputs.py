"""Made-up outputs of a network, for techniques that are told more than logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ltbench.stages import Adaptive, Mixed, Moment, Outputs
from ltbench.testing.inputs import Inputs
from ltbench.testing.randomness import seeded

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ltbench.stages import State

FEATURES = 12
"""Width of the features."""
START = Moment(epoch=0, epochs=10, step=0, steps=100)
LATER = tuple(Moment(epoch=part // 10, epochs=10, step=part, steps=100) for part in (30, 60, 95))
"""Moments in each part of a training, after `START`."""


def network_outputs(
    inputs: Inputs, technique: Adaptive, *, branches: int, size: float = 1.0, state: State | None = None
) -> tuple[Outputs, tuple[Tensor, Tensor]]:
    """Return the outputs for the batch of `inputs`, and the leaves of their graph, float32 [E, B, C] and [E, B, D].

    branches: E; size: factor of the logits; state: what the technique remembers, by default that of the start.
    """
    import numpy as np
    import torch

    each = [size * inputs.logits(seed=1 + number) for number in range(branches)]
    rows = inputs.rng(3).standard_normal((branches, len(inputs.batch_labels), FEATURES))
    leaves = [
        inputs.tensor("weights", torch.as_tensor(values, dtype=torch.float32)).requires_grad_()
        for values in (np.asarray(each), rows)
    ]
    # As in training, logits and features are no leaves of the graph, because in-place changes of a leaf would raise.
    logits, features = (
        inputs.track(name, leaf * 1) for name, leaf in zip(("branches", "features"), leaves, strict=True)
    )
    layers = tuple(_layer(inputs, number) for number in range(branches))
    outputs = Outputs(
        logits=inputs.track("logits", logits.mean(0)),
        branches=logits,
        features=features,
        layers=layers,
        own=_own(inputs, technique),
        state=start_state(inputs, technique) if state is None else state,
    )
    return outputs, (leaves[0], leaves[1])


def with_state(outputs: Outputs, state: State) -> Outputs:
    """Return the outputs with another state of the technique."""
    return _changed(outputs, {"state": state})


def detached(outputs: Outputs) -> Outputs:
    """Return the outputs without their graph, as a technique gets them after a step."""
    return _changed(outputs, {name: getattr(outputs, name).detach() for name in ("logits", "branches", "features")})


def batches(inputs: Inputs) -> list[Mixed]:
    """Return the batch of `inputs` as it is, and blended with its reverse."""
    labels = inputs.tensor("labels", inputs.batch_labels)
    other = inputs.tensor("other labels", inputs.batch_labels[::-1].copy())
    shares = inputs.tensor("lam", inputs.rng(5).random(len(labels)).astype("float32"))
    return [
        Mixed(images=None, labels_a=labels, labels_b=labels, lam=None),
        Mixed(images=None, labels_a=labels, labels_b=other, lam=shares),
    ]


def rows_of(outputs: Outputs, rows: Tensor) -> Outputs:
    """Return the outputs for some samples of the batch. rows: int64 [b]."""
    parts = {
        "logits": outputs.logits[rows],
        "branches": outputs.branches[:, rows],
        "features": outputs.features[:, rows],
    }
    return _changed(outputs, parts)


def _changed(outputs: Outputs, parts: dict[str, Any]) -> Outputs:
    fields = {name: getattr(outputs, name) for name in outputs.__struct_fields__}
    return Outputs(**(fields | parts))


def start_state(inputs: Inputs, technique: Adaptive) -> State:
    """Return what a technique remembers at the start."""
    counts = inputs.tensor("counts", inputs.class_counts)
    state = technique.remembers(FEATURES, inputs.classes, counts, inputs.generator(4, on_cpu=True))
    return {name: inputs.track(f"state {name}", _moved(inputs, value)) for name, value in state.items()}


def _own(inputs: Inputs, technique: Adaptive) -> nn.Module | None:
    with seeded(0):
        module = technique.learns(FEATURES, inputs.classes, inputs.tensor("counts", inputs.class_counts, on_cpu=True))
    return None if module is None else _module(inputs, module)


def _layer(inputs: Inputs, number: int) -> nn.Module:
    import torch

    with seeded(number):
        return _module(inputs, torch.nn.Linear(FEATURES, inputs.classes))


def _module(inputs: Inputs, module: nn.Module) -> nn.Module:
    if isinstance(inputs.device, str):
        return module.to(inputs.device)
    from ltbench.engine.fake_device import move_network

    move_network(module)
    return module


def _moved(inputs: Inputs, value: Any) -> Tensor:
    if isinstance(inputs.device, str):
        moved: Tensor = value.to(inputs.device)
        return moved
    from ltbench.engine.fake_device import is_on_fake_device, to_fake_device

    return value if is_on_fake_device(value) else to_fake_device(value)
