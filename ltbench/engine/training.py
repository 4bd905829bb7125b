"""A training: runs its segments in order, from the first step or from a restored state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import msgspec
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ltbench.core.spec import Spec, stream_seed
from ltbench.engine.batches import Feed
from ltbench.engine.determinism import autocast, random_state, set_random_state
from ltbench.engine.epoch_order import EpochOrder
from ltbench.engine.forward import Forward
from ltbench.engine.frozen_features import features_of
from ltbench.engine.hidden_mix import places
from ltbench.engine.initial_images import InitialImages
from ltbench.engine.learning_curve import Curve
from ltbench.engine.memory import Memory, adaptive
from ltbench.engine.moving_average import moving_average
from ltbench.engine.network import normaliser, set_trainable
from ltbench.engine.objective import count_correct
from ltbench.engine.optimizer import make_optimizer, optimizer_state, restore_optimizer, set_learning_rate
from ltbench.engine.phase_changes import begin_phase, change_classifiers, fold_factors
from ltbench.engine.probing import probed
from ltbench.engine.schedule import learning_rates, moment, spans, steps_before_average
from ltbench.engine.segment import Segment
from ltbench.engine.slow_network import SlowNetwork
from ltbench.engine.step import Step
from ltbench.engine.stopwatch import Stopwatch, running
from ltbench.engine.streams import generator
from ltbench.engine.structure import Structure, classifiers_of, feature_width
from ltbench.engine.subset import Subset
from ltbench.engine.tensor_files import add_prefix, strip_prefix
from ltbench.errors import JobFailed
from ltbench.executor import Techniques
from ltbench.stages import Adaptive, Auxiliary, Mixed, Moment, Sampler
from ltbench.suite.recipe import Recipe

_SYNC_EVERY = 50
"""Steps between checks of the loss on a GPU, where a check waits for queued steps. On a CPU, every loss is checked."""


class Training:
    """A training in progress: network, optimiser, feed, curve, and the segments to run."""

    def __init__(
        self, spec: Spec, subset: Subset, registry: Techniques, device: torch.device, teacher: nn.Module | None = None
    ) -> None:
        """teacher: the network that the spec names, with its weights, in evaluation mode."""
        self.teacher = teacher
        self.seed: int = spec["seed"]
        self.structure = Structure(spec, registry)
        self.recipe = msgspec.convert(spec["recipe"], Recipe).resolved()
        self.device = device
        self.precision: Callable[[], AbstractContextManager[object]] = partial(autocast, self.recipe.precision, device)
        """Returns the context of a pass."""
        self.counts = subset.counts.to(device)
        self.segments = [Segment.of(segment, registry) for segment in spec["segments"]]
        # Segments with the same sampler share its order, so that an epoch continues across their boundary.
        orders = {
            sampler: EpochOrder(sampler, subset.labels, subset.counts, self.recipe.batch_size, spec["seed"])
            for sampler in dict.fromkeys(segment.sampler for segment in self.segments)
        }
        self.orders = [orders[segment.sampler] for segment in self.segments]
        self.partners: dict[Sampler, EpochOrder] = {
            sampler: EpochOrder(
                sampler, subset.labels, subset.counts, self.recipe.batch_size, spec["seed"], stream="partner_pool"
            )
            for sampler in dict.fromkeys([*(segment.partner for segment in self.segments), self.structure.second])
            if sampler is not None
        }
        ends = [segment.until for segment in self.segments]
        self.spans = spans(self.recipe, ends, [order.batches_per_epoch for order in self.orders])
        self.model = self.structure.model
        self.network = self.structure.build(subset.info, self.counts, device)
        self._another: Callable[..., nn.Module] = lambda seed, *images: Structure(
            spec | {"seed": seed}, registry
        ).build(subset.info, self.counts, device, *images)
        self.macs, self.parameters = self.structure.size(self.network, subset.info)
        width = feature_width(classifiers_of(self.network)[0])
        self.memory = Memory(self.segments, width, self.counts, spec["seed"])
        self.slow: SlowNetwork | None = None
        self.optimizer = self._optimizer()
        learnt = self.memory.own
        # The moving average includes what techniques learn.
        self.whole: nn.Module = nn.ModuleDict({"network": self.network, "own": learnt}) if len(learnt) else self.network
        self.average = moving_average(self.whole, self.recipe)
        averaged: Any = self.whole if self.average is None else self.average.module
        self.predictor: nn.Module = averaged["network"] if len(learnt) else averaged
        """The network with the weights that predict: the last ones, or their average."""
        normalise = normaliser(self.model, subset.info, device)
        self.feed = Feed(subset, normalise, spec["seed"], device, self.memory)
        self.classify: Callable[[Tensor], Tensor] | None = None
        """Returns the logits of a batch, in place of network or classifier; see `NetworkStack` and `HeadStack`."""
        self.give: Callable[[Tensor], None] | None = None
        """Takes the images of a batch, whose logits `classify` returns when the walk goes on."""
        self.graphs = device.type == "cuda"
        """Whether to run networks as CUDA graphs."""
        self.curve = Curve(device)
        self.steps = self.samples = 0
        self.watch = Stopwatch()

    def run(self, after_step: Callable[[Training], None] = lambda _: None) -> None:
        """Run all steps that are not done yet.

        after_step: called after each step but the last; it may store the state. Raises `JobFailed` if a loss or a
        weight is not finite.
        """
        with running(self.watch):
            for _ in self.walk():
                if self.steps < self.total_steps:
                    after_step(self)

    @property
    def total_steps(self) -> int:
        """Steps of the whole training."""
        return sum(map(len, self.spans))

    def walk(self) -> Iterator[None]:
        """Do the steps that are not done yet, and yield after each, with `give` also within it. Raises as `run` does."""
        if not self.total_steps:
            raise JobFailed("the training has no steps", where="recipe", fix="set more epochs or steps")
        if not self.steps and self.structure.looks_at_images:
            self._initialise()
        done = self.steps  # minus the steps of earlier segments
        for number, span in enumerate(self.spans):
            if done < len(span):
                self._start_segment(number, resumed=done > 0)
                yield from self._run_segment(number, span.first + done)
            done = max(done - len(span), 0)
        # The loss of a step is computed before its update, so the last update is only visible in the weights.
        if not all(bool(values.isfinite().all()) for values in self.predictor.state_dict().values()):
            raise JobFailed("weights are not finite after the last step", where=str(self.segments[-1]))

    def _initialise(self) -> None:
        """Set the initial weights that depend on training images; a resumed training has them."""
        images = InitialImages(self.feed, generator(self.seed, "initialise"))
        self.network.load_state_dict(self._another(self.seed, images).state_dict())

    def _start_segment(self, number: int, *, resumed: bool) -> None:
        segment = self.segments[number]
        if self.orders[number] is not self.feed.order:  # the feed and the curve start a new epoch
            self.curve.close_epoch()
        self._start_feed(number)
        if not resumed:  # a resumed segment has the restored classifier and optimiser
            self._change_classifier(number)
            if segment.restart:
                self.optimizer = self._optimizer()
        set_trainable(self.model, self.network, segment.trainable)
        begin_phase(segment, self.network, self.optimizer, self.recipe.weight_decay)
        self.structure.rules.restrict(self.network)
        self._start_slow_network(number)

    def _change_classifier(self, number: int) -> None:
        how = self.segments[number].classifier
        if how != "keep":
            fresh = sum(segment.classifier == "fresh" for segment in self.segments[: number + 1])
            seed = stream_seed(self.seed, f"classifier {fresh}")
            change_classifiers(how, self._networks(), lambda: self._another(seed), self.optimizer)
            self.slow = None

    def _end_segment(self, number: int) -> None:
        """Make the network as it was built, so that a state at a boundary does not depend on what comes next."""
        if self.segments[number].classifier == "scale":
            fold_factors(self._networks())
            self.optimizer, self.slow = self._optimizer(), None

    def _start_feed(self, number: int) -> None:
        segment, second = self.segments[number], self.structure.second
        self.feed.start_segment(
            self.orders[number],
            segment.reading,
            segment.mix,
            partner=None if segment.partner is None else self.partners[segment.partner],
            places=places(segment.mix, self.model, self.network),
            views=segment.views,
            second=None if second is None else self.partners[second],
            share=None if self.structure.branches is None else self.structure.branches.share,
        )

    def _start_slow_network(self, number: int) -> None:
        """Begin the moving average that the auxiliary of a segment asks for, unless the segment before has it."""
        auxiliary = self.segments[number].auxiliary
        if auxiliary is None or auxiliary.momentum is None:
            self.slow = None
        elif self.slow is None or self.slow.auxiliary != auxiliary:
            self.slow = self._slow_network(auxiliary)
        if self.slow is not None:
            self.slow.start_segment()

    def _slow_network(self, auxiliary: Auxiliary) -> SlowNetwork:
        return SlowNetwork(self.network, self.structure.branches, self.memory, self.precision, auxiliary)

    def _optimizer(self) -> Optimizer:
        return make_optimizer(
            self.recipe, [*self.network.parameters(), *self.memory.own.parameters()], self.structure.rules
        )

    def _networks(self) -> list[nn.Module]:
        """Return the network, and its moving average if the recipe has one."""
        return [self.network] if self.average is None else [self.network, self.predictor]

    def _run_segment(self, number: int, start: int) -> Iterator[None]:
        segment, span = self.segments[number], self.spans[number]
        rates = learning_rates(self.recipe, span, restart=segment.restart, scale=segment.lr_scale)
        optimizer, feed = self.optimizer, self.feed
        told = Step.needs_features(segment)
        teacher = self.teacher if told else None
        forward = Forward(self.network, self.structure.branches, self.precision, features=told, teacher=teacher)
        before_average = steps_before_average(self.segments[: number + 1], self.spans)
        usable = segment.has_fixed_images and self.slow is None and teacher is None
        if self.structure.on_features or self.classify is not None:
            forward.use_features(self.classify)
        elif usable and (features := features_of(self.network, feed, self.precision)) is not None:
            feed.use_features(features)
            forward.use_features()
        elif self.graphs and segment.update is None and not (segment.mix and segment.mix.where != "input"):
            forward.use_graphs()
        work = Step(
            segment, forward, self.network, self.memory, self.counts, self.slow, summed_loss=self.recipe.summed_loss
        )
        batches = self.orders[number].batches_per_epoch
        for step in range(start, span.last):
            now = moment(span, step, batches, restart=segment.restart)
            batch = feed.next(now)
            if self.give is not None:
                self.give(batch.images)
                yield
            set_learning_rate(optimizer, rates[step - span.first])
            loss, logits, mixed = work.run(batch, now, optimizer)
            if self.average is not None:
                self.average.update(self.whole, self.steps + 1 - before_average)
            self.samples += batch.passed * (1 if segment.update is None else segment.update.passes)
            self._record_step(number, step, loss, logits, mixed, rates[step - span.first])
            if self.feed.at_end:
                self._end_epoch(segment, moment(span, step + 1, batches, restart=segment.restart))
            if step + 1 == span.last:
                self._end_segment(number)
            yield

    def _end_epoch(self, segment: Segment, following: Moment) -> None:
        """Let techniques look at the epoch that ended. following: the moment of the next step."""
        self.memory.after_epoch(segment, following)
        for technique in adaptive(segment):
            if type(technique).probe is not Adaptive.probe:
                stream = generator(stream_seed(self.seed, f"probe {following.step}"), technique.stage, self.device)
                state = self.memory.state_of(technique)
                found = probed(technique, self.network, self.feed, self.precision, state, following, stream)
                self.memory.probe(technique, found)

    def _record_step(self, number: int, step: int, loss: Tensor, logits: Tensor, batch: Mixed, rate: float) -> None:
        """Record a finished step; raise `JobFailed` if its loss is not finite."""
        batches, last = self.orders[number].batches_per_epoch, step + 1 == self.spans[number].last
        self.steps += 1
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
            **add_prefix("memory", self.memory.state()),
            **({} if self.slow is None else add_prefix("slow", self.slow.state())),
            "random": random_state(self.device),
        }
        if self.average is not None:
            tensors |= add_prefix("average", self.average.module.state_dict())
        return tensors, {
            "optimizer": scalars,
            "curve": self.curve.state(),
            "steps": self.steps,
            "samples": self.samples,
            **self.watch.state(),
        }

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Continue from the state of a training that starts with the same segments."""
        self.steps, self.samples = values["steps"], values["samples"]
        self.watch.restore(values)
        ends = [sum(map(len, self.spans[: n + 1])) for n in range(len(self.spans))]
        # The current segment; at a boundary the one that ended, whose order the feed's state belongs to.
        number = next(n for n, end in enumerate(ends) if self.steps <= end)
        self._start_feed(number)
        self.feed.restore(strip_prefix("feed", tensors))
        if self.segments[number].classifier == "scale" and self.steps < ends[number]:
            self._change_classifier(number)
            self.optimizer = self._optimizer()
        self.network.load_state_dict(strip_prefix("network", tensors))
        if self.average is not None:
            # A state of a training without a technique that learns lacks what this one learns, which is as at the start.
            known = strip_prefix("average", tensors)
            lacking = len(self.memory.own) and not any(name.startswith("network.") for name in known)
            known = add_prefix("network", known) if lacking else known
            self.average.module.load_state_dict(self.average.module.state_dict() | known)
        self.memory.restore(strip_prefix("memory", tensors))
        if slow := strip_prefix("slow", tensors):
            auxiliary = self.segments[number].auxiliary
            if auxiliary is not None:
                self.slow = self._slow_network(auxiliary)
                self.slow.restore(slow)
        restore_optimizer(self.optimizer, strip_prefix("optimizer", tensors), values["optimizer"])
        self.curve.restore(values["curve"])
        set_random_state(tensors["random"], self.device)
