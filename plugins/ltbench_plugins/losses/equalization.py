"""Softmax equalization loss."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

from ltbench import Loss, Meta, NotTuned, Tune, hookimpl
from ltbench_plugins._notes import WITH_ANOTHER_CORRECTION
from ltbench_plugins.losses._priors import nll

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from ltbench import Moment, Outputs
    from ltbench.stages import State

# SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), as signed integers of 64 bits.
_STEP, _FIRST, _SECOND = (value - (1 << 64) for value in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


class Equalization(Loss, frozen=True):
    """Cross entropy whose softmax mostly ignores rare classes in the images of other classes (SEQL).

    `p_y = exp(z_y) / sum over k of w_k exp(z_k)` with `w_k = 1 - beta` for a class k other than y whose share of the
    training images is below `threshold`, else 1. beta is drawn for each image and class in every step: 1 with probability
    gamma, else 0. So images of other classes discourage a rare class only now and then. With gamma = 0 it is cross
    entropy.

    `threshold = 0` means half of the balanced share, 1 / (2 C) for C classes: the 0.005 of the authors for CIFAR-100-LT.

    The draws are a hash of the step's seed and of the image's logits, as the loss of an image must not depend on its
    place in the batch. So with an update of several passes, such as `sam`, each pass has draws of its own.

    Source: Tan et al., Equalization Loss for Long-Tailed Object Recognition, CVPR 2020, section 3.4 (softmax
    equalization loss), with the gamma of its experiments on CIFAR-100-LT.
    """

    name = "equalization"
    doubtful = WITH_ANOTHER_CORRECTION

    gamma: Annotated[
        float, Meta(ge=0, le=1, description="probability of ignoring a rare class; 0: cross entropy"), Tune(0.7, 0.99)
    ] = 0.9
    threshold: Annotated[
        float,
        Meta(ge=0, le=0.5, description="share of the images below which a class is rare; 0: 1 / (2 classes)"),
        NotTuned("0 means automatic"),
    ] = 0.0

    def without_effect(self) -> tuple[str, ...]:
        return () if self.gamma else ("threshold",)

    def remembers(self, features: int, classes: int, counts: Tensor, generator: Generator) -> State:
        """Return the seed of the first step, int64 []."""
        import torch

        return {"seed": torch.randint(1 << 62, (), generator=generator)}

    def after_step(self, outputs: Outputs, batch: Any, network: nn.Module, state: State) -> State:
        return {"seed": state["seed"] + _STEP}

    def of(self, outputs: Outputs, labels: Tensor, counts: Tensor, moment: Moment) -> Tensor:
        """Return the loss of each sample, float [B], the mean over the branches."""
        rare = counts < (self.threshold or 1 / (2 * len(counts))) * counts.sum()
        losses = []
        for logits in outputs.branches:
            ignored = rare & (_uniform(logits, outputs.state["seed"]) < self.gamma)
            ignored = ignored.scatter(1, labels[:, None], False)
            losses.append(nll(logits.masked_fill(ignored, -math.inf), labels))
        return sum(losses[1:], losses[0]) / len(losses)


def _uniform(logits: Tensor, seed: Tensor) -> Tensor:
    """Return a number in [0, 1) for each logit, float64 [B, C], that is another one for another seed, row or class."""
    import torch

    def shifted(value: Tensor, bits: int) -> Tensor:
        return (value >> bits) & ((1 << (64 - bits)) - 1)  # a shift of signed integers would repeat the sign

    bits = logits.detach().float().contiguous().view(torch.int32).long()
    value = bits + (torch.arange(logits.shape[1], device=logits.device) << 32) + seed
    value = (value ^ shifted(value, 30)) * _FIRST
    value = (value ^ shifted(value, 27)) * _SECOND
    return shifted(value ^ shifted(value, 31), 11).double() / (1 << 53)


@hookimpl
def ltbench_losses() -> list[type[Loss]]:
    return [Equalization]
