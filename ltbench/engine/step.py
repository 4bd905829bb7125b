"""One step of a training: forward pass, objective, gradients, update, and what techniques remember of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ltbench.engine import output_checks
from ltbench.engine.batch import Batch
from ltbench.engine.determinism import random_state, set_random_state
from ltbench.engine.forward import Forward
from ltbench.engine.memory import Memory, adaptive
from ltbench.engine.objective import make_objective
from ltbench.engine.phase_changes import norm_limit
from ltbench.engine.segment import Segment
from ltbench.engine.slow_network import SlowNetwork
from ltbench.stages import Adaptive, Auxiliary, Loss, Mixed, Moment, Outputs, Update

Views = tuple[Outputs, ...]


class Passed(NamedTuple):
    """What a pass gives."""

    loss: Tensor
    """The objective, float [], with the factor of the pass."""
    outputs: Outputs
    mixed: Mixed
    """The batch as it was blended."""
    views: Views
    """Of the auxiliary."""
    whole: Tensor
    """The objective of the whole batch, without factor."""


class Step:
    """Does the steps of a segment."""

    def __init__(
        self,
        segment: Segment,
        forward: Forward,
        network: nn.Module,
        memory: Memory,
        counts: Tensor,
        slow: SlowNetwork | None,
        *,
        summed_loss: bool = False,
    ) -> None:
        """slow: the moving average that the auxiliary asks for; summed_loss: see `Recipe`.

        Raises `JobFailed` if a technique returns something wrong.
        """
        self._summed_loss = summed_loss
        self._segment, self._forward, self._network = segment, forward, network
        self._memory, self._counts, self._slow = memory, counts, slow
        self._observers = [one for one in adaptive(segment) if type(one).after_step is not Adaptive.after_step]
        self._remembering = bool(self._observers) or any(
            type(one).after_epoch is not Adaptive.after_epoch for one in adaptive(segment)
        )
        self._limit_norms = norm_limit(network, segment.max_norm)
        self._objective = make_objective(segment.loss, segment.weight, counts, self._trial(segment.loss))

    @staticmethod
    def needs_features(segment: Segment) -> bool:
        """Whether a technique of a segment gets the features of a batch."""
        looks = any(type(one).after_step is not Adaptive.after_step for one in adaptive(segment))
        return segment.auxiliary is not None or type(segment.loss).of is not Loss.of or looks

    def run(self, batch: Batch, moment: Moment, optimizer: Optimizer) -> tuple[Tensor, Tensor, Mixed]:
        """Do one step. Returns the objective, float [], the logits of the batch, float [B, C], and the batch as blended."""
        update = self._segment.update
        if update is None:
            optimizer.zero_grad()
            passed = self._pass(batch, moment, None)
            optimizer.step()
        else:
            modules = [self._network, self._memory.own, *(() if self._slow is None else self._slow.modules)]
            passes = _Passes(lambda factor: self._pass(batch, moment, factor), modules, optimizer)
            update.step(passes, optimizer, batch.labels_a, self._counts, moment)
            passed = passes.end(update)
        _, outputs, mixed, views, whole = passed
        self._limit_norms()
        if self._remembering:
            told = {one: (self._told(outputs, one), mixed) for one in self._observers}
            if (auxiliary := self._segment.auxiliary) in told:
                told[auxiliary] = _with(told[auxiliary][0], views=views), batch.unblended
            self._memory.after_step(self._segment, told, mixed, self._network, outputs.logits)
        # Last, so that `after_step` sees the slow module that the term saw.
        if self._slow is not None:
            self._slow.follow()
        return whole, outputs.logits, mixed

    def _pass(self, batch: Batch, moment: Moment, factor: Tensor | None) -> Passed:
        """Add to the gradients those of the objective, or of its sum over the batch; return what the pass gives."""
        auxiliary, views = self._segment.auxiliary, Views()
        slow_only = () if auxiliary is None else auxiliary.slow_only
        shown = [number for number in range(len(batch.views)) if number not in slow_only]
        extra = [view for number in shown if (view := batch.views[number]) is not None]
        images = torch.cat([batch.images, *extra]) if extra else batch.images
        mixed: Mixed = batch
        if batch.hidden is None:
            together = self._forward(images, moment, batch.second)
        else:
            together, mixed = batch.hidden.run(lambda given: self._forward(given, moment), images)
        output_checks.check_training_logits(together.logits, len(images), len(self._counts))
        outputs, *others = self._forward.split(together, len(batch.labels_a))
        term = None
        if auxiliary is not None:
            rest = iter(others)
            passed = {number: outputs if batch.views[number] is None else next(rest) for number in shown}
            views = self._views(auxiliary, batch, passed, moment)
            value = auxiliary.term(views, batch.labels, self._counts, moment)
            term = auxiliary.weight * output_checks.check_tensor(auxiliary, "a term", value, None, [])
        loss = whole = self._loss(outputs, mixed, moment, factor, term)
        (loss * len(batch.labels) if self._summed_loss else loss).backward()  # type: ignore[no-untyped-call]
        if factor is not None:
            with torch.no_grad():
                whole = self._loss(outputs, mixed, moment, None, term)
        return Passed(loss, outputs, mixed, views, whole)

    def _loss(
        self, outputs: Outputs, mixed: Mixed, moment: Moment, factor: Tensor | None, term: Tensor | None
    ) -> Tensor:
        """Return the objective. term: of the auxiliary, with its weight."""
        if term is not None and factor is not None:
            # Factors that sum to one over several calls count the term once.
            term = factor.mean() * term
        if term is not None and self._segment.auxiliary is not None and self._segment.auxiliary.replaces_loss:
            return term
        loss = self._objective(self._told(outputs, self._segment.loss), mixed, moment, factor)
        return loss if term is None else loss + term

    def _views(self, auxiliary: Auxiliary, batch: Batch, passed: Mapping[int, Outputs], moment: Moment) -> Views:
        """Return what the term of an auxiliary gets. passed: the outputs of the views that the network got, by number."""
        nothing = Outputs(logits=None, branches=None, features=None, layers=self._forward.layers)
        told = [self._told(passed.get(number, nothing), auxiliary) for number in range(len(batch.views))]
        if self._slow is not None:
            numbers = auxiliary.slow_only or range(len(told))
            images = [batch.images if batch.views[number] is None else batch.views[number] for number in numbers]
            slow = self._slow.outputs(images, moment, self._memory, auxiliary)
            for number, other in zip(numbers, slow, strict=True):
                told[number] = _with(told[number], slow=other)
        return tuple(told)

    def _told(self, outputs: Outputs, technique: Adaptive) -> Outputs:
        """Return the outputs with what a technique learns and remembers."""
        if self._memory.is_empty:
            return outputs
        own, state = self._memory.own_of(technique), self._memory.state_of(technique)
        return outputs if own is None and not state else _with(outputs, own=own, state=state)

    def _trial(self, loss: Loss) -> Outputs | None:
        """Return outputs for two blank samples, for a loss that needs more than logits."""
        if type(loss).of is Loss.of:
            return None
        return self._told(self._forward.blank(2, len(self._counts)), loss)


class _Passes:
    """The passes of one step, which an update asks for. All see the same draws; only the first changes statistics."""

    def __init__(self, run: Callable[[Tensor | None], Passed], modules: list[nn.Module], optimizer: Optimizer) -> None:
        """modules: whose buffers hold statistics."""
        self._run, self._optimizer = run, optimizer
        self._first: Passed | None = None
        self._device = next(modules[0].parameters()).device
        self._random = random_state(self._device)
        self._buffers = [buffer for module in modules for buffer in module.buffers()]
        self._values: list[Tensor] = []

    def __call__(self, factor: Tensor | None = None) -> Tensor:
        """Set the gradients to those of the objective, and return it."""
        self._optimizer.zero_grad()
        if self._first is not None:
            set_random_state(self._random, self._device)
        with torch.enable_grad():
            passed = self._run(factor)
        if self._first is None:
            self._first = passed._replace(loss=passed.loss.detach(), whole=passed.whole.detach())
            self._values = [buffer.clone() for buffer in self._buffers]
        return passed.loss.detach()

    def end(self, update: Update) -> Passed:
        """Undo the changes of statistics by later passes; return what the first pass returned."""
        if self._first is None:
            raise output_checks.wrong_output(update, "without calling the closure", "at least one call")
        for buffer, value in zip(self._buffers, self._values, strict=True):
            buffer.copy_(value)
        return self._first


def _with(outputs: Outputs, **changes: object) -> Outputs:
    fields: dict[str, Any] = {name: getattr(outputs, name) for name in outputs.__struct_fields__}
    return Outputs(**(fields | changes))
