"""Networks: backbone and classifier, and what replaces or changes their parts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

import msgspec

from ltbench.stages.training_context import Moment
from ltbench.technique import Technique

if TYPE_CHECKING:
    from typing import Self

    from torch import Tensor, nn

    Batches = Iterable[tuple[Tensor, Tensor]]
    """All training images once: images float [B, channels, size, size], as the network gets them but not augmented, and
    labels int64 [B]. In a random order that is the same each time they are iterated."""

T = TypeVar("T")
"""A tensor or a numpy array."""


class ParameterGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of a network that do not simply follow the recipe."""

    parameters: Sequence[Any]
    """Parameters of the network."""
    learns: bool = True
    lr: float = 1.0
    """Factor on the learning rate of the recipe."""
    decay: float = 1.0
    """Factor on the weight decay of the recipe."""


class TimmNetwork(msgspec.Struct, frozen=True, kw_only=True):
    """How `timm.create_model` builds the network of a model."""

    name: str
    arguments: dict[str, Any]
    """`num_classes`, `in_chans` and others, as JSON values."""
    resize: int = 0
    """Side in pixels to which the model resizes normalised images first, bilinearly with antialiasing; 0: it does not."""


class Model(Technique, frozen=True):
    """A backbone and a classifier."""

    stage: ClassVar[str] = "model"
    has_blocks: ClassVar[bool] = False
    """Whether its networks have `blocks()`."""
    is_transformer: ClassVar[bool] = False
    """Whether its networks consist of transformer blocks of timm, with `norm2` and `mlp`."""

    @property
    def is_pretrained(self) -> bool:
        """Whether the weights of the backbone come from outside, so that they do not depend on the seed."""
        return False

    @property
    def is_at_hand(self) -> bool:
        """Whether its weights are on this machine, so that `build` downloads nothing."""
        return True

    @property
    def is_frozen(self) -> bool:
        """Whether only the classifier learns. Images are then not augmented, unless recipe or combination say so."""
        return False

    def with_pretrained(self, *, frozen: bool) -> Self | None:
        """Return this model with pretrained weights, and a backbone that learns or not; None if there are no such weights."""
        return None

    def build(self, channels: int, size: int, classes: int) -> nn.Module:
        """Return a freshly initialised network: float [B, channels, size, size] -> logits float [B, classes].

        It has timm's `get_classifier()`, the last linear layer; the rest is the backbone that a regime may freeze. For
        branches and hidden mixes it has `blocks()`: the modules that, one after the other, make the features of images
        (`forward_features`), from which `forward_head` makes logits.
        Initial weights may come from torch's global generator, which the harness seeds around this call only.
        """
        raise NotImplementedError

    def rebuild(self, channels: int, size: int, classes: int) -> nn.Module:
        """Return a network like that of `build`, all of whose weights are then read from a file; by default `build`.

        A model with pretrained weights does not need them here.
        """
        return self.build(channels, size, classes)

    def in_timm(self, channels: int, size: int, classes: int) -> TimmNetwork | None:
        """Return how timm builds the same network, for those who load its weights without ltbench; None if it cannot."""
        return None

    def weights_licence(self) -> str | None:
        """Return the licence of the pretrained weights that the network starts from, empty if unknown; None for no such weights."""
        return None

    def mean_std(self, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
        """Return mean and standard deviation per channel, for pixels in [0, 1], to normalise images.

        None means those of the data set. A pretrained network returns those it was trained with.
        """
        return None

    def groups(self, network: nn.Module) -> Sequence[ParameterGroup]:
        """Return the parameters that learn at other rates than the recipe's, or not at all; by default none.

        network: as `build` returned it. A parameter is in one group at most.
        """
        return ()

    def initialise(self, network: nn.Module, images: Batches) -> None:
        """Set initial weights that depend on training images, such as a whitening layer; by default none.

        Called once before the first step, without gradients, with the network in evaluation mode.
        """


class Finetune(Technique, frozen=True):
    """Which parameters of a pretrained network learn, and what is added to it.

    A phase may freeze more of it. The statistics of a batch normalisation are frozen if none of its own parameters learns.
    """

    stage: ClassVar[str] = "finetune"
    trainable: ClassVar[Literal["all", "classifier"]] = "all"
    """`classifier`: nothing of the backbone learns, and all of it is in evaluation mode, as in such a phase."""

    def adapt(self, network: nn.Module) -> nn.Module:
        """Return the network with what is added to it, for example adapters; by default as it is.

        It keeps `get_classifier()`. Initial weights may come from torch's global generator, which the harness seeds around
        this call only.
        """
        return network

    def learns(self, name: str, parameter: Tensor, module: nn.Module) -> bool:
        """Whether a parameter of the backbone learns; the classifier always does.

        name: as in `named_parameters`, such as `blocks.0.norm1.bias`; module: the layer that has the parameter.
        """
        raise NotImplementedError

    def initialise(self, network: nn.Module, images: Batches) -> None:
        """Set initial weights that depend on training images, such as those of the classifier; by default none.

        Called as that of `Model`, after it; network: with what `adapt` added, and the head of the combination.
        """


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

    def unsuited_to(self, model: Technique) -> str:
        return "" if isinstance(model, Model) and model.has_blocks else "its networks have no blocks()"

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
