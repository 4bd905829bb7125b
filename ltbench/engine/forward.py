"""The forward pass of a segment: images -> logits, and what techniques ask for besides.

A segment whose techniques only need logits runs the network as it is. Otherwise a hook collects what the classifier is
given, and all views of the images pass through the network in one batch.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from ltbench.engine.branched_network import BranchedNetwork
from ltbench.engine.graphed_network import GraphedNetwork
from ltbench.engine.modules import input_of
from ltbench.engine.structure import classifiers_of, feature_width
from ltbench.stages import Branches, Moment, Outputs

Precision = Callable[[], AbstractContextManager[object]]
"""Returns the context of a forward pass."""


class Forward:
    """Passes batches through a network, or feature rows through its classifier."""

    def __init__(
        self,
        network: nn.Module,
        branches: Branches | None,
        precision: Precision,
        *,
        features: bool,
        teacher: nn.Module | None = None,
    ) -> None:
        """branches: those of the network; features: whether `Outputs.features` is needed; teacher: in evaluation mode."""
        self._teacher = teacher
        self._network, self._branches, self._precision = network, branches, precision
        self._needs_features = features
        self.layers = classifiers_of(network)
        self._classify: Callable[[Tensor], Tensor] | None = None
        self._graphed: GraphedNetwork | None = None

    def use_graphs(self) -> None:
        """From now on, whole batches that only need logits pass through the network as CUDA graphs, if it can be captured."""
        if not self._needs_features and self._teacher is None and not isinstance(self._network, BranchedNetwork):
            self._graphed = GraphedNetwork(self._network, self._precision)

    def use_features(self, classify: Callable[[Tensor], Tensor] | None = None) -> None:
        """From now on, batches are features float [B, D] for the classifier, instead of images.

        classify: returns the logits float [B, C] of features in its place; see `HeadStack`.
        """
        self._classify = classify or self.layers[0]

    def __call__(self, images: Tensor, moment: Moment, second: Tensor | None = None) -> Outputs:
        """Return the outputs for a batch. second: images of the second stream, for branches that have one."""
        with self._precision():
            logits, features = self._run(images, second)
        # Losses in fp32: bf16 has 8 bits of precision.
        logits = logits.float()
        if self._branches is None:
            branches = logits[None]
        else:
            branches, logits = logits, self._branches.merge_at(logits, moment)
            branches = logits[None] if self._branches.joint else branches
        return Outputs(
            logits=logits,
            branches=branches,
            features=None if features is None else features.float(),
            layers=self.layers,
            teacher=None if self._teacher is None else self._taught(self._teacher, images),
        )

    @torch.no_grad()
    def _taught(self, teacher: nn.Module, images: Tensor) -> Tensor:
        """Return the logits of the teacher, float32 [B, C]."""
        with self._precision():
            logits: Tensor = teacher(images)
        return logits.float()

    def split(self, outputs: Outputs, size: int) -> list[Outputs]:
        """Return the outputs of each batch of `size` images that passed through the network together."""
        number = len(outputs.logits) // size
        return (
            [outputs]
            if number == 1
            else [
                Outputs(
                    logits=outputs.logits[start : start + size],
                    branches=outputs.branches[:, start : start + size],
                    features=None if outputs.features is None else outputs.features[:, start : start + size],
                    layers=self.layers,
                    teacher=None if outputs.teacher is None else outputs.teacher[start : start + size],
                )
                for start in range(0, size * number, size)
            ]
        )

    def blank(self, size: int, classes: int) -> Outputs:
        """Return outputs of zeros for this number of samples, to try techniques."""
        layers = self.layers
        device = next(self._network.parameters()).device
        width = feature_width(layers[0]) or 1
        joint = self._branches is not None and self._branches.joint
        branches = torch.zeros(1 if joint else len(layers), size, classes, device=device)
        features = torch.zeros(len(layers), size, width, device=device)
        teacher = None if self._teacher is None else branches[0]
        return Outputs(logits=branches[0], branches=branches, features=features, layers=layers, teacher=teacher)

    def _run(self, images: Tensor, second: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return logits [B, C], those of branches [E, B, C], and features [E, B, D] if they are needed."""
        if isinstance(self._network, BranchedNetwork):
            return self._network.run(images, second)
        if self._classify is not None:
            return self._classify(images), images[None]
        if not self._needs_features:
            return (self._graphed or self._network)(images), None
        with input_of(self.layers[0]) as taken:
            logits: Tensor = self._network(images)
        return logits, taken[0][None] if len(taken) == 1 else None
