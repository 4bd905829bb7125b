"""A head on made-up features, and steps of an update on a linear model."""

from __future__ import annotations

import copy
from typing import Any

from ltbench.stages import Head, Moment, Update
from ltbench.testing.auxiliary_trial import move
from ltbench.testing.inputs import BATCH, Inputs

HEAD_FEATURES = 1024
"""Width of the features for heads: more than classes, as some heads need."""


def head_of(technique: Head, inputs: Inputs) -> Any:
    """Return the classifier that a head builds, with seeded weights, on the device of the inputs."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        counts = inputs.tensor("counts", inputs.class_counts, on_cpu=True)
        head = technique.build(HEAD_FEATURES, inputs.classes, counts)
    move(head, inputs.device)
    return head


class UpdateTrial:
    """Steps of an update on the loss of a linear model, by plain gradient descent."""

    def __init__(self, technique: Update, inputs: Inputs, scale: float = 1.0) -> None:
        """scale: factor of the loss; with 0, all gradients are zero."""
        import torch

        self._technique, self._scale = technique, scale
        self._features = inputs.tensor("features", inputs.rng(2).standard_normal((BATCH, 3)).astype("float32"))
        self._labels = inputs.tensor("labels", inputs.batch_labels)
        self._counts = inputs.tensor("counts", inputs.class_counts)
        start = inputs.tensor("start", inputs.rng(3).standard_normal((3, inputs.classes)).astype("float32"))
        self.weights = (start * 1).detach().requires_grad_()
        self._optimizer = torch.optim.SGD([self.weights], lr=0.1)
        self.calls = 0
        self._step = 0

    def step(self) -> None:
        """Do one step."""
        moment = Moment(epoch=0, epochs=1.0, step=self._step, steps=100)
        self._technique.step(self._closure, self._optimizer, self._labels, self._counts, moment)
        self._step += 1

    def restore(self, other: UpdateTrial) -> None:
        """Continue from what snapshots keep of another trial."""
        self.weights.data.copy_(other.weights.data)
        self._optimizer.load_state_dict(copy.deepcopy(other._optimizer.state_dict()))
        self._step = other._step

    def loss(self) -> float:
        """Return the loss of the batch."""
        return float(self._losses().detach().mean())

    def _losses(self) -> Any:
        import torch

        return self._scale * torch.nn.functional.cross_entropy(
            self._features @ self.weights, self._labels, reduction="none"
        )

    def _closure(self, factor: Any = None) -> Any:
        self.calls += 1
        self._optimizer.zero_grad()
        losses = self._losses()
        loss = (losses if factor is None else factor * losses).mean()
        loss.backward()
        return loss.detach()
