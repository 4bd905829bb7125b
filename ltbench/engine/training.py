"""A training: runs its segments in order, from the first step or from a restored state."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import torch
from torch import Tensor, nn

from ltbench.core.spec import Spec, stream_seed
from ltbench.engine.batches import Feed
from ltbench.engine.determinism import autocast, random_state, set_random_state
from ltbench.engine.epoch_order import EpochOrder
from ltbench.engine.frozen_features import features_of
from ltbench.engine.learning_curve import Curve
from ltbench.engine.network import build, measure, normaliser, set_trainable
from ltbench.engine.objective import count_correct, make_objective
from ltbench.engine.optimizer import (
    make_optimizer,
    optimizer_state,
    restore_optimizer,
    set_learning_rate,
    set_weight_decay,
)
from ltbench.engine.phase_changes import (
    fold_factors,
    forget_momentum,
    norm_limit,
    renew_classifiers,
    restrict_learning,
    scale_classifiers,
)
from ltbench.engine.schedule import learning_rates, spans
from ltbench.engine.segment import Segment
from ltbench.engine.subset import Subset
from ltbench.engine.tensor_files import add_prefix, strip_prefix
from ltbench.errors import JobFailed
from ltbench.executor import Techniques
from ltbench.stages import Mixed, Model
from ltbench.suite.recipe import Recipe

_SYNC_EVERY = 50
"""Steps between checks of the loss on a GPU, where a check waits for queued steps. On a CPU, every loss is checked."""


class Training:
    """A training in progress: network, optimiser, feed, curve, and the segments to run."""

    def __init__(self, spec: Spec, subset: Subset, registry: Techniques, device: torch.device) -> None:
        self.recipe = msgspec.convert(spec["recipe"], Recipe).resolved()
        self.device = device
        self.counts = subset.counts.to(device)
        self.segments = [Segment.of(segment, registry) for segment in spec["segments"]]
        # Segments with the same sampler share its order, so that an epoch continues across their boundary.
        orders = {
            sampler: EpochOrder(sampler, subset.labels, subset.counts, self.recipe.batch_size, spec["seed"])
            for sampler in dict.fromkeys(segment.sampler for segment in self.segments)
        }
        self.orders = [orders[segment.sampler] for segment in self.segments]
        ends = [segment.until for segment in self.segments]
        self.spans = spans(self.recipe, ends, [order.batches_per_epoch for order in self.orders])
        self.model = registry.build_as(spec["model"], Model)
        self._build = partial(build, self.model, subset.info, device=device)
        self._seed: int = spec["seed"]
        self.network = self._build(seed=self._seed)
        self.macs = measure(self.model, self.network, subset.info)
        self.optimizer = make_optimizer(self.recipe, self.network)
        self.average = _average(self.network, self.recipe)
        self.predictor = self.network if self.average is None else self.average.module
        """The network with the weights that predict: the last ones, or their average."""
        self.feed = Feed(subset, normaliser(self.model, subset.info, device), spec["seed"], device)
        self.curve = Curve(device)
        self.steps = self.samples = 0
        self.seconds = 0.0

    def run(self, after_step: Callable[[Training], None] = lambda _: None) -> None:
        """Run all steps that are not done yet.

        after_step: called after each step but the last; it may store the state. Raises `JobFailed` if a loss or a
        weight is not finite.
        """
        began = time.perf_counter()
        if not sum(map(len, self.spans)):
            raise JobFailed("the training has no steps", where="recipe", fix="set more epochs or steps")
        done = self.steps  # minus the steps of earlier segments
        for number, span in enumerate(self.spans):
            if done < len(span):
                self._start_segment(number, resumed=done > 0)
                self._run_segment(number, span.first + done, after_step)
            done = max(done - len(span), 0)
        # The loss of a step is computed before its update, so the last update is only visible in the weights.
        if not all(bool(values.isfinite().all()) for values in self.predictor.state_dict().values()):
            raise JobFailed("weights are not finite after the last step", where=str(self.segments[-1]))
        self.seconds += time.perf_counter() - began

    def _start_segment(self, number: int, *, resumed: bool) -> None:
        segment, order = self.segments[number], self.orders[number]
        if order is not self.feed.order:  # the feed and the curve start a new epoch
            self.curve.close_epoch()
        self.feed.start_segment(order, segment.reading.augment, segment.mix)
        if not resumed:  # a resumed segment has the restored classifier and optimiser
            self._change_classifier(number)
            if segment.restart:
                self.optimizer = make_optimizer(self.recipe, self.network)
        set_trainable(self.model, self.network, segment.trainable)
        restrict_learning(self.network, segment)
        set_weight_decay(self.optimizer, self.recipe.weight_decay * segment.weight_decay_scale)

    def _change_classifier(self, number: int) -> None:
        """Start a segment with a fresh classifier, or with factors of its logits, if it asks for that."""
        match self.segments[number].classifier:
            case "fresh":
                earlier = sum(segment.classifier == "fresh" for segment in self.segments[:number])
                fresh = self._build(seed=stream_seed(self._seed, f"classifier {earlier + 1}"))
                for network in self._networks():
                    renew_classifiers(network, fresh)
                forget_momentum(self.optimizer, self.network)
            case "scale":
                for network in self._networks():
                    scale_classifiers(network)

    def _end_segment(self, number: int) -> None:
        """Make the network as it was built, so that a state at a boundary does not depend on what comes next."""
        if self.segments[number].classifier == "scale":
            for network in self._networks():
                fold_factors(network)
            self.optimizer = make_optimizer(self.recipe, self.network)

    def _networks(self) -> list[nn.Module]:
        """Return the network, and its moving average if the recipe has one."""
        return [self.network] if self.average is None else [self.network, self.predictor]

    def _run_segment(self, number: int, start: int, after_step: Callable[[Training], None]) -> None:
        segment, span = self.segments[number], self.spans[number]
        rates = learning_rates(self.recipe, span, restart=segment.restart, scale=segment.lr_scale)
        objective = make_objective(segment.loss, segment.weight, segment.mix, self.counts)
        network, optimizer, feed = self.network, self.optimizer, self.feed
        trained, total = network, sum(map(len, self.spans))
        before_average = self._steps_before_average(number)
        limit_norms = norm_limit(network, segment.max_norm)
        if segment.has_fixed_images and (features := self._features()) is not None:
            feed.use_features(features)
            trained = network.get_classifier()  # type: ignore[operator]
        for step in range(start, span.last):
            batch = feed.next()
            with autocast(self.recipe.precision, self.device):
                logits = trained(batch.images).float()  # losses in fp32: bf16 has 8 bits of precision
            loss = objective(logits, batch)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            set_learning_rate(optimizer, rates[step - span.first])
            optimizer.step()
            limit_norms()
            if self.average is not None:
                self.average.update(network, self.steps + 1 - before_average)
            self._record_step(number, step, loss, logits, batch)
            if step + 1 == span.last:
                self._end_segment(number)
            if self.steps < total:
                after_step(self)

    def _steps_before_average(self, number: int) -> int:
        """Return the number of steps before the segment with which the current average began."""
        starts = [n for n, segment in enumerate(self.segments[: number + 1]) if segment.average == "restart"]
        return sum(map(len, self.spans[: starts[-1]])) if starts else 0

    def _features(self) -> Tensor | None:
        """Return the features of all training images, or None if the backbone has to run in every step."""
        precision = partial(autocast, self.recipe.precision, self.device)
        return features_of(self.network, self.feed.unaugmented_images(), self.feed.image_count, precision)

    def _record_step(self, number: int, step: int, loss: Tensor, logits: Tensor, batch: Mixed) -> None:
        """Record a finished step; raise `JobFailed` if its loss is not finite."""
        batches, last = self.orders[number].batches_per_epoch, step + 1 == self.spans[number].last
        self.steps += 1
        self.samples += len(logits)
        rate = self.optimizer.param_groups[0]["lr"]
        self.curve.add_batch(loss, count_correct(logits, batch), len(logits), epoch=(step + 1) / batches, lr=rate)
        interval = 1 if self.device.type == "cpu" else _SYNC_EVERY
        if (self.steps % interval == 0 or self.feed.at_end or last) and not self.curve.finite:
            raise JobFailed(
                f"the loss is not finite at step {self.steps}, in epoch {step // batches + 1}",
                where=str(self.segments[number]),
                fix="use a smaller learning rate or a warm-up",
            )
        if self.feed.at_end:
            self.curve.close_epoch()

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return everything that later steps depend on, as tensors and plain JSON values."""
        momenta, scalars = optimizer_state(self.optimizer)
        tensors = {
            **add_prefix("network", self.network.state_dict()),
            **add_prefix("optimizer", momenta),
            **add_prefix("feed", self.feed.state()),
            "random": random_state(self.device),
        }
        if self.average is not None:
            tensors |= add_prefix("average", self.predictor.state_dict())
        return tensors, {
            "optimizer": scalars,
            "curve": self.curve.state(),
            "steps": self.steps,
            "samples": self.samples,
            "seconds": self.seconds,
        }

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Continue from the state of a training that starts with the same segments."""
        self.steps, self.samples, self.seconds = values["steps"], values["samples"], values["seconds"]
        ends = [sum(map(len, self.spans[: n + 1])) for n in range(len(self.spans))]
        # The current segment; at a boundary the one that ended, whose order the feed's state belongs to.
        number = next(n for n, end in enumerate(ends) if self.steps <= end)
        self.feed.start_segment(self.orders[number], self.segments[number].reading.augment, self.segments[number].mix)
        self.feed.restore(strip_prefix("feed", tensors))
        if self.segments[number].classifier == "scale" and self.steps < ends[number]:
            self._change_classifier(number)
            self.optimizer = make_optimizer(self.recipe, self.network)
        self.network.load_state_dict(strip_prefix("network", tensors))
        if self.average is not None:
            self.predictor.load_state_dict(strip_prefix("average", tensors))
        restore_optimizer(self.optimizer, strip_prefix("optimizer", tensors), values["optimizer"])
        self.curve.restore(values["curve"])
        set_random_state(tensors["random"], self.device)


def _average(network: nn.Module, recipe: Recipe) -> Any:
    """Return timm's moving average of weights and batch statistics; None for a recipe without one.

    Its first step sets the average, whatever the decay. From there the decay of step t is min(ema, 1 - t^(-2/3))
    (timm's warm-up), or ema throughout with `ema_warmup = false`.
    """
    if recipe.ema is None:
        return None
    from timm.utils.model_ema import ModelEmaV3  # takes three seconds, so only if a recipe needs it

    return ModelEmaV3(network, decay=recipe.ema, use_warmup=recipe.ema_warmup)
