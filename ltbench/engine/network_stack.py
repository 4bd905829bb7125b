"""A stack of networks of one kind that train at the same time, with one pass for all of them.

It fills a GPU that a small network leaves idle.

Each network is a training of its own (`Training`), with its own images, order, loss, curve and checks. Weights and batch statistics
are rows of common tensors, and torch turns the pass of one network into that of all (`torch.func.vmap`). A loss gets the logits of
its own network and leaves their gradient; one backward pass turns the gradients of all into those of the weights, and one optimiser
takes the step. Sums are added in another order than alone, so last bits differ from those of a single training.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.modules.dropout import _DropoutNd
from torch.optim import Optimizer

from ltbench.engine.branched_network import BranchedNetwork
from ltbench.engine.graphed_network import GraphedNetwork
from ltbench.engine.lockstep import in_step
from ltbench.engine.optimizer import make_optimizer
from ltbench.engine.step import Step
from ltbench.engine.training import Training
from ltbench.stages import Adaptive

AfterStep = Callable[[Training], None]


def stack_key(training: Training) -> Hashable:
    """Return what trainings of one stack have in common; None for a training that needs passes of its own."""
    segments = training.segments
    own = (
        training.average is not None
        or len(training.memory.own)
        or isinstance(training.network, BranchedNetwork)
        or any(isinstance(module, _DropoutNd) and module.p for module in training.network.modules())
        or any(map(Step.needs_features, segments))
        or any(segment.update is not None or segment.restart or segment.max_norm is not None for segment in segments)
        or any(segment.classifier != "keep" or segment.auxiliary is not None for segment in segments)
        or any(segment.mix is not None and segment.mix.where != "input" for segment in segments)
        or any(type(one).probe is not Adaptive.probe for one in _adaptive(training))
    )
    if own:
        return None
    weights = [(name, value.shape, value.dtype) for name, value in training.network.state_dict().items()]
    plans = [
        (span.first, span.last, order.batch_size, order.images_per_epoch, segment.trainable, segment.lr_scale)
        for span, order, segment in zip(training.spans, training.orders, segments, strict=True)
    ]
    return (training.steps, tuple(weights), tuple(plans))


def _adaptive(training: Training) -> list[Adaptive]:
    return [one for segment in training.segments for one in segment.techniques if isinstance(one, Adaptive)]


class NetworkStack:
    """Runs trainings of one `stack_key` in step, with the same recipe."""

    def __init__(
        self, trainings: Mapping[str, Training], random: Mapping[str, Tensor], after_step: Mapping[str, AfterStep]
    ) -> None:
        """Prepare the run of trainings, all by the key of their fit.

        random: the state of the generator with which a training begins; after_step: called after each step but the last.
        """
        self._trainings, self._after_step = trainings, after_step
        self.random = random
        """After the run, the state of the generator with which each ended."""
        first = next(iter(trainings.values()))
        self._device, self._graphs = first.device, first.graphs
        self._images: list[Tensor | None] = [None] * len(trainings)
        self._leaves: list[Tensor] = []
        self._weights = _Weights([training.network for training in trainings.values()])
        self._optimizer = self._weights.optimizer(list(trainings.values()))
        for place, training in enumerate(trainings.values()):
            training.optimizer = cast("Optimizer", _Part(self._optimizer, place))
            training.give = self._taking(place)
            training.classify = self._answering(place)

    def run(self) -> dict[str, Exception]:
        """Do all steps that are not done yet; return the errors of the trainings that fail, by key. The others go on."""
        with in_step(self._trainings, self.random, self._device) as turn:
            while turn.advance():  # each has its batch
                some = next(iter(turn.walking.values()))
                logits = self._pass(some)
                turn.advance()  # each has its loss
                self._update(logits)
                for key, training in turn.walking.items():
                    if training.steps < training.total_steps:
                        turn.take_turn(key)
                        self._after_step[key](training)
        self.random = turn.random
        return turn.failed

    def _taking(self, place: int) -> Callable[[Tensor], None]:
        def take(images: Tensor) -> None:
            self._images[place] = images

        return take

    def _answering(self, place: int) -> Callable[[Tensor], Tensor]:
        return lambda _images: self._leaves[place]

    def _pass(self, training: Training) -> Tensor:
        """Return the logits of all batches, float [N, B, C]. training: one that goes on, whose network is in the mode of all."""
        # The last batch of a training that has failed is there still; what becomes of it is not used.
        given = next(images for images in self._images if images is not None)
        whole = torch.stack([torch.zeros_like(given) if images is None else images for images in self._images])
        with training.precision():
            logits = self._weights(whole, training.network, training.precision if self._graphs else None)
        self._leaves = [part.detach().requires_grad_() for part in logits]
        return logits

    def _update(self, logits: Tensor) -> None:
        gradient = torch.stack([torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in self._leaves])
        self._optimizer.zero_grad()
        logits.backward(gradient)  # type: ignore[no-untyped-call]
        self._optimizer.step()


class _Weights(nn.Module):
    """The weights and statistics of networks, as rows of common tensors, which those of the networks are views of."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self._names = [name for name, _ in networks[0].named_parameters()]
        self._statistics = [name for name, _ in networks[0].named_buffers()]
        parameters = [dict(network.named_parameters()) for network in networks]
        buffers = [dict(network.named_buffers()) for network in networks]
        self.common = nn.ParameterList(nn.Parameter(_joined([own[name] for own in parameters])) for name in self._names)
        for number, name in enumerate(self._statistics):
            self.register_buffer(f"statistic{number}", _joined([own[name] for own in buffers]))
        # Not an attribute: it would be a module of this one.
        self._state: dict[str, Any] = {"key": None, "pass": None}

    def optimizer(self, trainings: Sequence[Training]) -> Optimizer:
        """Return the optimiser of all, in the state that those of the trainings are in."""
        first = trainings[0]
        own = [list(training.network.parameters()) for training in trainings]
        rules = first.structure.rules.carried_over(dict(zip(own[0], self.common, strict=True)))
        optimizer = make_optimizer(first.recipe, self.common, rules)
        for number, whole in enumerate(self.common):
            states = [
                training.optimizer.state.get(parameters[number], {})
                for training, parameters in zip(trainings, own, strict=True)
            ]
            for name, value in states[0].items():
                of_each = isinstance(value, Tensor) and value.shape == whole.shape[1:]
                optimizer.state[whole][name] = torch.stack([state[name] for state in states]) if of_each else value
        return optimizer

    def __call__(self, images: Tensor, network: nn.Module, precision: Any | None = None) -> Tensor:
        """Return the logits float [N, B, C] of images float [N, B, channels, size, size].

        network: in the mode that all are in, and whose parameters say which of them learn; precision: of the pass, if it is to
        be a CUDA graph.
        """
        learn = [parameter.requires_grad for parameter in network.parameters()]
        for whole, learns in zip(self.common, learn, strict=True):
            whole.requires_grad_(learns)
        key = (learn, [module.training for module in network.modules()])
        if self._state["key"] != key:
            all_at_once = _Pass(self, network)
            graphed = all_at_once if precision is None else GraphedNetwork(all_at_once, precision)
            self._state = {"key": key, "pass": graphed}
        logits: Tensor = self._state["pass"](images)
        return logits

    def rows(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the common parameters and statistics by the names that they have in a network."""
        statistics = [cast("Tensor", getattr(self, f"statistic{number}")) for number in range(len(self._statistics))]
        return dict(zip(self._names, self.common, strict=True)), dict(zip(self._statistics, statistics, strict=True))


class _Pass(nn.Module):
    """The pass of all networks."""

    def __init__(self, weights: _Weights, network: nn.Module) -> None:
        super().__init__()
        self.weights = weights
        self._one = (network,)  # in a tuple, because its parameters are not those of this module
        self.train(network.training)

    def forward(self, images: Tensor) -> Tensor:
        (network,) = self._one
        parameters, statistics = self.weights.rows()

        def one(parameters: dict[str, Tensor], statistics: dict[str, Tensor], images: Tensor) -> Tensor:
            logits: Tensor = functional_call(network, (parameters, statistics), (images,))
            return logits

        logits: Tensor = vmap(one, randomness="error")(parameters, statistics, images)
        return logits


def _joined(parts: Sequence[Tensor]) -> Tensor:
    """Return a tensor with these as rows, and make them views of it."""
    whole = torch.stack([part.detach() for part in parts])
    for part, row in zip(parts, whole, strict=True):
        part.data = row
    return whole


class _Part:
    """The optimiser of a training in a stack, which takes its steps."""

    def __init__(self, optimizer: Optimizer, place: int) -> None:
        self._optimizer, self._place = optimizer, place
        self.param_groups: list[dict[str, Any]] = optimizer.param_groups

    def zero_grad(self) -> None:
        """Leave gradients to the stack."""

    def step(self) -> None:
        """Leave the step to the stack."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state of this training, as its own optimiser would."""
        whole = self._optimizer.state_dict()
        state = {
            number: {
                name: value[self._place] if isinstance(value, Tensor) and value.dim() else value
                for name, value in entry.items()
            }
            for number, entry in whole["state"].items()
        }
        return whole | {"state": state}
