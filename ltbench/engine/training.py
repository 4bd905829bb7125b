"""A training: its segments run one after the other, from the first step or from the state of an earlier fit."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import torch
from torch import Tensor

from ltbench.core.spec import Spec
from ltbench.engine.batches import Feed
from ltbench.engine.determinism import autocast, random_state, set_random_state
from ltbench.engine.epoch_order import Order
from ltbench.engine.frozen_features import features_of
from ltbench.engine.learning_curve import Curve
from ltbench.engine.network import build, measure, normaliser, set_trainable
from ltbench.engine.objective import hits, make_objective
from ltbench.engine.optimizer import make_optimizer, optimizer_state, restore_optimizer, set_learning_rate
from ltbench.engine.schedule import learning_rates, spans
from ltbench.engine.segment import Segment
from ltbench.engine.subset import Subset
from ltbench.engine.tensor_files import prefixed, under
from ltbench.engine.weight_average import Last, make_average
from ltbench.errors import JobFailed
from ltbench.executor import Techniques
from ltbench.stages import Mixed, Model
from ltbench.suite.recipe import Recipe

_SYNC_EVERY = 50
"""Steps between looks at the loss on a device that runs ahead; on the CPU every step is looked at."""


class Training:
    """One training under way: network, optimiser, feed and curve, and the segments to run."""

    def __init__(self, spec: Spec, subset: Subset, registry: Techniques, device: torch.device) -> None:
        self.recipe = msgspec.convert(spec["recipe"], Recipe).resolved()
        self.device = device
        self.counts = subset.counts.to(device)
        self.segments = [Segment.of(segment, registry) for segment in spec["segments"]]
        # Segments with the same sampler share its order, so that an epoch goes on across their border.
        orders = {
            sampler: Order(sampler, subset.labels, subset.counts, self.recipe.batch_size, spec["seed"])
            for sampler in dict.fromkeys(segment.sampler for segment in self.segments)
        }
        self.orders = [orders[segment.sampler] for segment in self.segments]
        ends = [segment.until for segment in self.segments]
        self.spans = spans(self.recipe, ends, [order.batches for order in self.orders])
        self.model = registry.build_as(spec["model"], Model)
        self.network = build(self.model, subset.info, spec["seed"], device)
        self.macs = measure(self.model, self.network, subset.info)
        self.optimizer = make_optimizer(self.recipe, self.network)
        self.average = make_average(self.network, self.recipe.ema)
        self.feed = Feed(subset, normaliser(self.model, subset.info, device), spec["seed"], device)
        self.curve = Curve(device)
        self.steps = self.samples = 0
        self.seconds = 0.0

    def run(self, between: Callable[[Training], None] = lambda _: None) -> None:
        """Run every step that is not behind it yet.

        between: called after each step but the last; it may take the state. Raises `JobFailed` where a loss or a
        weight is not finite.
        """
        began = time.perf_counter()
        if not sum(map(len, self.spans)):
            raise JobFailed("the training has no steps", where="recipe", fix="more epochs or steps")
        behind = self.steps
        for number, span in enumerate(self.spans):
            if behind < len(span):
                self._enter(number, anew=not behind)
                self._run_segment(number, span.first + behind, between)
            behind = max(behind - len(span), 0)
        if not all(bool(values.isfinite().all()) for values in self.average.module.state_dict().values()):
            raise JobFailed("weights are not finite after the last step", where=str(self.segments[-1]))
        self.seconds += time.perf_counter() - began

    def _enter(self, number: int, *, anew: bool) -> None:
        segment, order = self.segments[number], self.orders[number]
        if order is not self.feed.order:
            self.curve.close()
        self.feed.switch(order, segment.augment, segment.mix)
        set_trainable(self.model, self.network, segment.trainable)
        if segment.restart and anew:
            self.optimizer = make_optimizer(self.recipe, self.network)

    def _run_segment(self, number: int, start: int, between: Callable[[Training], None]) -> None:
        segment, span = self.segments[number], self.spans[number]
        rates = learning_rates(self.recipe, span, restart=segment.restart, scale=segment.lr_scale)
        objective = make_objective(segment.loss, segment.weight, segment.mix, self.counts)
        network, optimizer, feed, average = self.network, self.optimizer, self.feed, self.average
        learner, whole = network, sum(map(len, self.spans))
        if segment.has_fixed_images and (features := self._features()) is not None:
            feed.use_features(features)
            learner = network.get_classifier()  # type: ignore[operator]
        for step in range(start, span.last):
            batch = feed.next()
            with autocast(self.recipe.precision, self.device):
                logits = learner(batch.images).float()
            loss = objective(logits, batch)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            set_learning_rate(optimizer, rates[step - span.first])
            optimizer.step()
            average.update(network, self.steps + 1)
            self._note(number, step, loss, logits, batch)
            if self.steps < whole:
                between(self)

    def _features(self) -> Tensor | None:
        """Return what the classifier is given for each training image, where the backbone need look only once."""
        precision = partial(autocast, self.recipe.precision, self.device)
        return features_of(self.network, self.feed.unaugmented_images(), self.feed.size, precision)

    def _note(self, number: int, step: int, loss: Tensor, logits: Tensor, batch: Mixed) -> None:
        """Count a step that was made; raise `JobFailed` where its loss is not finite."""
        batches, last = self.orders[number].batches, step + 1 == self.spans[number].last
        self.steps += 1
        self.samples += len(logits)
        rate = self.optimizer.param_groups[0]["lr"]
        self.curve.add(loss, hits(logits, batch), len(logits), epoch=(step + 1) / batches, lr=rate)
        often = 1 if self.device.type == "cpu" else _SYNC_EVERY
        if (self.steps % often == 0 or self.feed.at_end or last) and not self.curve.finite:
            raise JobFailed(
                f"the loss is not finite at step {self.steps}, in epoch {step // batches + 1}",
                where=str(self.segments[number]),
                fix="a smaller learning rate, or a warm-up",
            )
        if self.feed.at_end:
            self.curve.close()

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return everything that the next step depends on: tensors, and plain JSON values."""
        momenta, scalars = optimizer_state(self.optimizer)
        tensors = {
            **prefixed("network", self.network.state_dict()),
            **prefixed("optimizer", momenta),
            **prefixed("feed", self.feed.state()),
            "random": random_state(self.device),
        }
        if not isinstance(self.average, Last):
            tensors |= prefixed("average", self.average.module.state_dict())
        return tensors, {
            "optimizer": scalars,
            "curve": self.curve.state(),
            "steps": self.steps,
            "samples": self.samples,
            "seconds": self.seconds,
        }

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Go on from the state of a fit that these segments begin like."""
        self.steps, self.samples, self.seconds = values["steps"], values["samples"], values["seconds"]
        ends = [sum(map(len, self.spans[: n + 1])) for n in range(len(self.spans))]
        number = next(n for n, end in enumerate(ends) if self.steps <= end)
        self.feed.switch(self.orders[number], self.segments[number].augment, self.segments[number].mix)
        self.feed.restore(under("feed", tensors))
        self.network.load_state_dict(under("network", tensors))
        if not isinstance(self.average, Last):
            self.average.module.load_state_dict(under("average", tensors))
        restore_optimizer(self.optimizer, under("optimizer", tensors), values["optimizer"])
        self.curve.restore(values["curve"])
        set_random_state(tensors["random"], self.device)
