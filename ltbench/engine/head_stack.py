"""A stack of classifiers that train on the same features at the same time, with one matrix product for all of them.

Each classifier is a training of its own (`Training`), with its own loss, class weights, curve and checks. The stack does one
step of each in turn. What it shares are the features of the batch, as long as the trainings draw the same one, and the
products of these features with weights and gradients: weights of plain linear layers are rows of a common matrix. A loss
gets the logits of its own classifier and leaves their gradient; one backward pass turns the gradients of all into those of
the weights.

Linear layers are multiplied in tiles of a fixed number of classifiers, the last one filled up: in a product of a fixed
shape, the bits of a column do not depend on the others, so a classifier has the same bits in any stack.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ltbench.engine.determinism import random_state, seeded
from ltbench.engine.lockstep import in_step
from ltbench.engine.optimizer import make_optimizer
from ltbench.engine.step import Step
from ltbench.engine.structure import classifier_of
from ltbench.engine.training import Training

TILE = 8
"""Linear layers of a product."""


class HeadStack:
    """Runs trainings on the same features in step. They have equal steps, batches and recipes (`stack_name`)."""

    def __init__(self, trainings: Mapping[str, Training], features: Tensor, device: torch.device) -> None:
        """trainings: by the key of their fit; features: float [N, D], of the training subset."""
        self._trainings, self._device = trainings, device
        gather = _Gather(features)
        for training in trainings.values():
            training.feed.gather = gather
        plain = [training for training in trainings.values() if _is_plain(training)]
        self._tiles = [_Tile(plain[start : start + TILE]) for start in range(0, len(plain), TILE)]

    def run(self) -> dict[str, Exception]:
        """Do all steps of the trainings; return the errors of those that fail, by key. The others go on."""
        random: dict[str, Tensor] = {}
        for key, training in self._trainings.items():
            with seeded(training.seed, "dropout", self._device):
                random[key] = random_state(self._device)
        with in_step(self._trainings, random, self._device) as turn:
            while turn.advance():
                for tile in self._tiles:
                    tile.update()
        return turn.failed


def _is_plain(training: Training) -> bool:
    """Whether the logits of a classifier can come from a product with others: a linear layer, of which only they are used."""
    layer = classifier_of(training.network)
    return type(layer) is nn.Linear and not any(map(Step.needs_features, training.segments))


class _Gather:
    """Returns the features of a batch; trainings that ask for the same images get the same tensor."""

    def __init__(self, features: Tensor) -> None:
        self._features = features
        self._indices = torch.empty(0, dtype=torch.int64)
        self._rows = features[:0]

    def __call__(self, indices: Tensor) -> Tensor:
        """Return the features of images, float [B, D]. indices: int64 [B]."""
        if not torch.equal(indices, self._indices):
            self._indices, self._rows = indices, self._features[indices]
        return self._rows


class _Tile:
    """Linear layers whose weights are rows of one matrix."""

    def __init__(self, trainings: Sequence[Training]) -> None:
        layers = [cast("nn.Linear", classifier_of(training.network)) for training in trainings]
        self._classes = layers[0].out_features
        weights = [(layer.weight, _bias(layer)) for layer in layers]
        first, bias = weights[0]
        self._weight = nn.Parameter(first.new_zeros(TILE * self._classes, first.shape[1]))
        self._bias = None if bias is None else nn.Parameter(bias.new_zeros(TILE * self._classes))
        parameters = [self._weight] if self._bias is None else [self._weight, self._bias]
        self._optimizer = make_optimizer(trainings[0].recipe, parameters)
        self._rows: Tensor | None = None
        self._logits: Tensor | None = None
        self._leaves: dict[int, Tensor] = {}
        for place, (training, owns) in enumerate(zip(trainings, weights, strict=True)):
            part = slice(place * self._classes, (place + 1) * self._classes)
            for whole, own in zip((self._weight, self._bias), owns, strict=True):
                if whole is not None and own is not None:
                    whole.data[part] = own.data
                    own.data = whole.data[part]
            training.optimizer = cast("Optimizer", _Deferred(self._optimizer))
            training.classify = self._classifier(place, part)

    def _classifier(self, place: int, part: slice) -> Callable[[Tensor], Tensor]:
        def classify(rows: Tensor) -> Tensor:
            """Return the logits float [B, C] of features float [B, D], as a leaf of the graph of its loss."""
            if self._logits is None or self._rows is not rows:
                assert self._logits is None, "all classifiers of a stack see the same batch"
                self._rows, self._logits = rows, nn.functional.linear(rows, self._weight, self._bias)
            leaf = self._logits.detach()[:, part].requires_grad_()
            self._leaves[place] = leaf
            return leaf

        return classify

    def update(self) -> None:
        """Take the step of the optimiser by the gradients that the losses have left in the logits."""
        if self._logits is None:
            return
        gradient = torch.zeros_like(self._logits)
        for place, leaf in self._leaves.items():
            if leaf.grad is not None:
                gradient[:, place * self._classes : (place + 1) * self._classes] = leaf.grad
        self._optimizer.zero_grad()
        self._logits.backward(gradient)  # type: ignore[no-untyped-call]
        self._optimizer.step()
        self._logits = self._rows = None
        self._leaves.clear()


def _bias(layer: nn.Linear) -> Tensor | None:
    bias: Tensor | None = layer.bias
    return bias


class _Deferred:
    """The optimiser of a training in a tile: the tile takes its steps."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.param_groups: list[dict[str, Any]] = optimizer.param_groups
        self.state: dict[Tensor, Any] = {}

    def zero_grad(self) -> None:
        """Leave gradients to the tile."""

    def step(self) -> None:
        """Leave the step to the tile."""
