"""A moving average of a network, and of what an auxiliary learns, that computes outputs during the training."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ltbench.engine.forward import Forward, Precision
from ltbench.engine.memory import Memory
from ltbench.engine.tensor_files import add_prefix, strip_prefix
from ltbench.stages import Auxiliary, Branches, Moment, Outputs


class SlowNetwork:
    """Weights that follow those of a network: slow = m * slow + (1 - m) * fast after each step.

    It has batch statistics of its own, from the images that pass through it (He et al., MoCo, CVPR 2020).
    """

    def __init__(
        self, network: nn.Module, branches: Branches | None, memory: Memory, precision: Precision, auxiliary: Auxiliary
    ) -> None:
        """auxiliary: that asks for it, with its `momentum`."""
        self.auxiliary = auxiliary
        self._fast = network, memory.own
        self._network = copy.deepcopy(network).requires_grad_(False)
        self._own = copy.deepcopy(memory.own).requires_grad_(False)
        self.modules: tuple[nn.Module, nn.Module] = self._network, self._own
        self._forward = Forward(self._network, branches, precision, features=True)

    def start_segment(self) -> None:
        """Let batch normalisation and dropout work as in the network: by the batch, or as in evaluation."""
        for fast, slow in zip(self._fast, self.modules, strict=True):
            for module, copied in zip(fast.modules(), slow.modules(), strict=True):
                copied.training = module.training

    @torch.no_grad()
    def follow(self) -> None:
        """Move the weights towards those of the network."""
        momentum = self.auxiliary.momentum or 0.0
        for fast, slow in zip(self._fast, self.modules, strict=True):
            for target, value in zip(slow.parameters(), fast.parameters(), strict=True):
                target.lerp_(value, 1 - momentum)

    @torch.no_grad()
    def outputs(self, images: Sequence[Tensor], moment: Moment, memory: Memory, auxiliary: Auxiliary) -> list[Outputs]:
        """Return the outputs for several batches of images, for an auxiliary."""
        own, state = memory.own_of(auxiliary, self._own), memory.state_of(auxiliary)
        return [
            Outputs(
                logits=one.logits, branches=one.branches, features=one.features, layers=one.layers, own=own, state=state
            )
            for one in self._forward.split(self._forward(torch.cat(list(images)), moment), len(images[0]))
        ]

    def state(self) -> dict[str, Tensor]:
        """Return the weights and statistics as tensors by name."""
        return add_prefix("network", self._network.state_dict()) | add_prefix("own", self._own.state_dict())

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Continue from a state."""
        for name, module in zip(("network", "own"), self.modules, strict=True):
            module.load_state_dict(strip_prefix(name, tensors))
