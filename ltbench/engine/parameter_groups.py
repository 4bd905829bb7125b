"""Which parameters of a network learn, and at which rates: rules of the model, of the fine-tuning and of a phase.

A parameter learns if all of them let it learn; factors of rates are those of the model.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from ltbench.engine import output_checks
from ltbench.engine.determinism import random_state, set_random_state
from ltbench.engine.modules import evaluating
from ltbench.errors import JobFailed
from ltbench.stages import Finetune, Model, ParameterGroup


class Rates(NamedTuple):
    """Factors on the learning rate and the weight decay of the recipe."""

    lr: float = 1.0
    decay: float = 1.0


class ParameterRules:
    """The rules for the parameters of a network; without any, all of them learn at the rates of the recipe."""

    def __init__(self) -> None:
        self._frozen: set[Tensor] = set()
        self._rates: dict[Tensor, Rates] = {}
        self._resting: list[nn.Module] = []
        """Modules that stay in evaluation mode."""

    def add_model(self, model: Model, network: nn.Module) -> None:
        """Add the rules of a model for its network. Raises `JobFailed` if it returns anything else."""
        with output_checks.leaving_no_state(model):
            groups = list(model.groups(network))
        known = set(network.parameters())
        for group in groups:
            if not isinstance(group, ParameterGroup):
                raise output_checks.wrong_output(model, output_checks.describe(group), "a ParameterGroup")
            for parameter in group.parameters:
                if parameter not in known:
                    raise output_checks.wrong_output(
                        model, "a group with a parameter that is not the network's, or in two groups", "parameters once"
                    )
                known.remove(parameter)
                self._rates[parameter] = Rates(group.lr, group.decay)
                if not group.learns:
                    self._frozen.add(parameter)

    def add_finetune(self, finetune: Finetune, network: nn.Module) -> None:
        """Add the rules of a fine-tuning for an adapted network. Raises `JobFailed` if it finds nothing to adapt."""
        classifier = set(cast("Any", network).get_classifier().modules())
        with output_checks.leaving_no_state(finetune):
            backbone = {
                parameter: finetune.trainable == "all" and finetune.learns(name, parameter, module)
                for name, parameter, module in _owned(network)
                if module not in classifier
            }
        if finetune.trainable == "all" and not any(backbone.values()):
            raise JobFailed(
                f"finetune '{finetune.label}' finds nothing to adapt: no parameter of the backbone would learn",
                where=type(finetune).__module__,
                fix="choose another model, or finetune 'linear_probe' to train the classifier alone",
            )
        self._frozen |= {parameter for parameter, learns in backbone.items() if not learns}
        self._resting += [
            module
            for module in network.modules()
            if isinstance(module, _NormBase)
            and module not in classifier
            and not any(backbone[parameter] for parameter in module.parameters(recurse=False))
        ]

    def restrict(self, network: nn.Module) -> None:
        """Freeze what must not learn. Called after a phase has set what learns in it."""
        for parameter in network.parameters():
            if parameter in self._frozen:
                parameter.requires_grad = False
        for module in self._resting:
            module.eval()

    def groups(self, parameters: Iterable[nn.Parameter]) -> list[tuple[Rates, list[nn.Parameter]]]:
        """Return the parameters that may learn, by their rates."""
        found: dict[Rates, list[nn.Parameter]] = {}
        for parameter in parameters:
            if parameter not in self._frozen:
                found.setdefault(self._rates.get(parameter, Rates()), []).append(parameter)
        return list(found.items())

    def carried_over(self, others: Mapping[Any, Tensor]) -> ParameterRules:
        """Return the rules for other parameters in place of these. others: parameter -> the one in its place."""
        rules = ParameterRules()
        rules._frozen = {others[parameter] for parameter in self._frozen}
        rules._rates = {others[parameter]: rates for parameter, rates in self._rates.items()}
        return rules

    def check_effect(self, finetune: Finetune, network: nn.Module, added: Collection[Tensor], image: Tensor) -> None:
        """Raise `JobFailed` unless the logits depend on what should learn of the backbone, and on all that was added.

        An adapter in a layer that the network never calls would leave it as it was, without an error.
        added: parameters that `adapt` added; image: float [1, channels, size, size].
        """
        if finetune.trainable == "classifier":
            return
        classifier = set(cast("Any", network).get_classifier().parameters())
        learning = {
            name: parameter
            for name, parameter in network.named_parameters()
            if parameter not in self._frozen and parameter not in classifier
        }
        unreached = _unreached(network, learning, image)
        lost = [name for name in unreached if learning[name] in added]
        if lost or len(unreached) == len(learning):
            raise JobFailed(
                f"finetune '{finetune.label}' has no effect: the logits do not depend on {(lost or unreached)[0]}",
                where=type(finetune).__module__,
                fix="choose another model or finetune",
            )


def _unreached(network: nn.Module, parameters: Mapping[str, nn.Parameter], image: Tensor) -> list[str]:
    """Return the names of the parameters that no gradient of the logits reaches."""
    state = random_state(image.device)
    network.requires_grad_(requires_grad=True)
    with evaluating(network), torch.enable_grad():
        logits: Tensor = network(image)
        gradients: tuple[Tensor | None, ...] = torch.autograd.grad(
            logits.sum(), list(parameters.values()), allow_unused=True
        )
    set_random_state(state, image.device)
    return [name for name, gradient in zip(parameters, gradients, strict=True) if gradient is None]


def _owned(network: nn.Module) -> Iterator[tuple[str, nn.Parameter, nn.Module]]:
    """Yield name, parameter and module of all parameters, each once."""
    seen: set[nn.Parameter] = set()
    for prefix, module in network.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter not in seen:
                seen.add(parameter)
                yield f"{prefix}.{name}" if prefix else name, parameter, module
