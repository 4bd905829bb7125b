"""Networks: backbone and classifier, and what replaces or changes their parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeVar

from ltbench.stages.training_context import Moment
from ltbench.technique import Technique

if TYPE_CHECKING:
    from torch import Tensor, nn

T = TypeVar("T")
"""A tensor or a numpy array."""


class Model(Technique, frozen=True):
    """A backbone and a classifier."""

    stage: ClassVar[str] = "model"
    has_blocks: ClassVar[bool] = False
    """Whether its networks have `blocks()`."""

    def build(self, channels: int, size: int, classes: int) -> nn.Module:
        """Return a freshly initialised network: float [B, channels, size, size] -> logits float [B, classes].

        It has timm's `get_classifier()`, the last linear layer; the rest is the backbone that a regime may freeze. For
        branches and hidden mixes it has `blocks()`: the modules that, one after the other, make the features of images
        (`forward_features`), from which `forward_head` makes logits.
        Initial weights may come from torch's global generator, which the harness seeds around this call only.
        """
        raise NotImplementedError

    def mean_std(self, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
        """Return mean and standard deviation per channel, for pixels in [0, 1], to normalise images.

        None means those of the data set. A pretrained network returns those it was trained with.
        """
        return None


class Finetune(Technique, frozen=True):
    """Which parameters of a pretrained network learn, and what is added to it."""

    stage: ClassVar[str] = "finetune"

    def adapt(self, network: nn.Module) -> nn.Module:
        """Return the network with what is added to it, for example adapters; by default as it is.

        Initial weights may come from torch's global generator, which the harness seeds around this call only.
        """
        return network

    def learns(self, name: str, parameter: Tensor) -> bool:
        """Whether a parameter of the backbone learns; the classifier always does. name: as in `named_parameters`."""
        raise NotImplementedError


class Head(Technique, frozen=True):
    """The layer that turns features into logits, in place of the model's own linear layer."""

    stage: ClassVar[str] = "head"

    def build(self, features: int, classes: int, counts: Tensor) -> nn.Module:
        """Return the classifier: features float [B, D] -> logits float [B, C]. counts: int64 [C].

        Initial weights may come from torch's global generator, which the harness seeds around this call only.
        """
        raise NotImplementedError


class Branches(Technique, frozen=True):
    """Several copies of the last blocks of a network and of its classifier, the branches, behind a common trunk."""

    stage: ClassVar[str] = "branches"
    stream: ClassVar[str] = ""
    """The sampler of a second stream of images for the second half of the branches, in command-line notation; empty if
    all branches see the same images."""

    joint: ClassVar[bool] = False
    """Whether the loss is that of the merged logits, instead of the mean of the losses of the branches."""

    def number(self) -> int:
        """Return the number of branches."""
        raise NotImplementedError

    def shared(self, blocks: int) -> int:
        """Return how many of the first blocks of the network are common to all branches. By default, all but the last two."""
        return max(blocks - 2, 0)

    def share(self, moment: Moment) -> float:
        """Return the share of the first stream in the loss, in [0, 1], if there is a second one. By default 1/2."""
        return 0.5

    def merge(self, logits: T) -> T:
        """Return the merged logits float [N, C] of those of the branches, float [E, N, C]; by default their mean.

        logits: a tensor in training, a numpy array at inference.
        """
        return logits.mean(0)  # type: ignore[attr-defined,no-any-return]

    def merge_at(self, logits: Tensor, moment: Moment) -> Tensor:
        """Return the merged logits in training, float [B, C], from those of the branches, float [E, B, C].

        The harness calls this method, which by default calls `merge`.
        """
        return self.merge(logits)
