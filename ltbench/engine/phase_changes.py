"""What a phase changes in a network: its classifier, its batch normalisation, the norms of its weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer

from ltbench.engine.modules import replace_module
from ltbench.engine.optimizer import set_weight_decay
from ltbench.engine.segment import Segment
from ltbench.engine.structure import classifiers_of
from ltbench.errors import JobFailed


class ScaledClassifier(nn.Module):
    """A linear classifier, float [B, D] -> [B, C], with a factor of the logits of each class.

    `weight`, `bias` and `in_features` are those of the linear layer with the same logits.
    """

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.layer = layer
        self.factors = nn.Parameter(torch.ones_like(layer.weight[:, 0]))

    @property
    def weight(self) -> Tensor:
        """Weights, float [C, D]."""
        return self.factors[:, None] * self.layer.weight

    @property
    def bias(self) -> Tensor | None:
        """Bias, float [C], if the layer has one."""
        bias: Tensor | None = self.layer.bias
        return None if bias is None else self.factors * bias

    @property
    def in_features(self) -> int:
        """Number of features."""
        return self.layer.in_features

    def forward(self, features: Tensor) -> Tensor:
        """Return logits, float [B, C]."""
        return cast("Tensor", self.layer(features) * self.factors)

    @torch.no_grad()
    def folded(self) -> nn.Linear:
        """Return the linear layer with the factors in its weights and bias."""
        self.layer.weight.mul_(self.factors[:, None])
        if self.layer.bias is not None:
            self.layer.bias.mul_(self.factors)
        return self.layer


def change_classifiers(
    how: Literal["fresh", "scale"],
    networks: Sequence[nn.Module],
    another: Callable[[], nn.Module],
    optimizer: Optimizer,
) -> None:
    """Begin a phase with fresh classifiers, or with a factor of the logits of each class, from 1.

    networks: the one that is trained, and its moving average if there is one; another: builds one of the same structure,
    with other initial weights. Raises `JobFailed` if a classifier that is to be scaled is not a linear layer.
    """
    if how == "scale":
        for network in networks:
            _scale(network)
        return
    fresh = classifiers_of(another())
    for network in networks:
        for layer, new in zip(classifiers_of(network), fresh, strict=True):
            layer.load_state_dict(new.state_dict())
            # What an optimiser remembers is about weights that are gone.
            for parameter in layer.parameters():
                optimizer.state.pop(parameter, None)


def _scale(network: nn.Module) -> None:
    for layer in classifiers_of(network):
        # A subclass may normalise its weights, so that factors of the logits are no factors of the weights.
        if type(layer).forward is not nn.Linear.forward:
            raise JobFailed(
                f"a phase scales the logits of each class, but the classifier is {type(layer).__name__}, in which the "
                "factors cannot be kept",
                fix="use a linear classifier, or a phase with classifier='fresh'",
            )
        _replace(network, layer, ScaledClassifier(cast("nn.Linear", layer)))


def fold_factors(networks: Sequence[nn.Module]) -> None:
    """End a phase with factors, and keep the logits: the factors become part of weights and biases."""
    for network in networks:
        for layer in classifiers_of(network):
            if isinstance(layer, ScaledClassifier):
                _replace(network, layer, layer.folded())


def _replace(network: nn.Module, old: nn.Module, new: nn.Module) -> None:
    replace_module(network, old, new)
    if not any(layer is new for layer in classifiers_of(network)):
        raise JobFailed("a phase scales the logits of each class, but the classifier is no part of the network")


def begin_phase(segment: Segment, network: nn.Module, optimizer: Optimizer, decay: float) -> None:
    """Set weight decay, and what learns besides what `trainable` says. decay: of the recipe."""
    set_weight_decay(optimizer, decay * segment.weight_decay_scale)
    layers = classifiers_of(network)
    for layer in layers:
        if isinstance(layer, ScaledClassifier):
            layer.layer.requires_grad_(requires_grad=False)
    if not segment.batch_norm:
        return
    own = {id(module) for layer in layers for module in layer.modules()}
    for module in network.modules():
        if isinstance(module, _BatchNorm) and id(module) not in own:
            module.train(segment.batch_norm != "frozen").requires_grad_(segment.batch_norm == "learn")


def norm_limit(network: nn.Module, most: float | None) -> Callable[[], None]:
    """Return a function that shortens the weights of each class in the classifier to a Euclidean norm of at most `most`.

    Raises `JobFailed` if a classifier has no weights, float [C, D].
    """
    if most is None:
        return lambda: None
    weights = [getattr(layer, "weight", None) for layer in classifiers_of(network)]
    for weight in weights:
        if not (isinstance(weight, nn.Parameter) and weight.dim() == 2):
            raise JobFailed(
                "a phase limits the norms of the classifier, which has no weights for each class",
                fix="use a linear classifier, or a phase without max_norm",
            )
    limited = cast("list[Tensor]", weights)

    @torch.no_grad()
    def limit() -> None:
        for weight in limited:
            weight.copy_(weight.renorm(2, 0, most))

    return limit
