"""What the techniques of a training learn and remember.

Both are found by the technique's stage and label, so that a technique keeps them over all segments that use it, also in
a training that goes on from the state of another one: the parts that the other one lacks are as at the start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from ltbench.core.spec import identity, stream_seed
from ltbench.engine import output_checks
from ltbench.engine.determinism import seeded
from ltbench.engine.segment import Segment
from ltbench.engine.streams import generator
from ltbench.engine.tensor_files import add_prefix, strip_prefix
from ltbench.errors import JobFailed
from ltbench.stages import Adaptive, Mixed, Moment, Outputs, Seen

Values = dict[str, Tensor]


class Memory:
    """The modules that techniques learn, and the states that they remember."""

    def __init__(self, segments: Sequence[Segment], width: int | None, counts: Tensor, seed: int) -> None:
        """width: of the features that the classifier is given; counts: int64 [C], on the device of the training."""
        self.own = nn.ModuleDict()
        self._states: dict[str, Values] = {}
        self._seed = seed
        self._counts = counts
        self._seen: Values = {}
        found = [technique for segment in segments for technique in adaptive(segment)]
        for technique in dict.fromkeys(found):
            self._begin(technique, width)
        self.is_empty = not len(self.own) and not self._states
        """Whether no technique learns or remembers anything."""

    def _begin(self, technique: Adaptive, width: int | None) -> None:
        key, kind = _key(technique), type(technique)
        learns = kind.learns is not Adaptive.learns
        remembers = kind.remembers is not Adaptive.remembers
        if (learns or remembers) and width is None:
            raise JobFailed(
                f"{technique.stage} '{technique.label}' needs to know the width of the features",
                why="the classifier of the network does not state it",
                fix="choose a model whose classifier is a linear layer",
            )
        classes, device = len(self._counts), self._counts.device
        if learns:
            with (
                seeded(stream_seed(self._seed, key), "init", torch.device("cpu")),
                output_checks.leaving_no_state(technique),
            ):
                module = technique.learns(width or 0, classes, self._counts.cpu())
            if module is not None and not isinstance(module, nn.Module):
                raise output_checks.wrong_output(technique, output_checks.describe(module), "a torch.nn.Module or None")
            if module is not None:
                self.own[key] = module.to(device)
        if remembers:
            with output_checks.leaving_no_state(technique):
                state = technique.remembers(width or 0, classes, self._counts, generator(self._seed, key))
            self._states[key] = {name: value.to(device) for name, value in _checked(technique, state).items()}

    def own_of(self, technique: Adaptive, own: nn.ModuleDict | None = None) -> nn.Module | None:
        """Return the module that a technique learns; None if there is none. own: a copy of the modules to look in."""
        modules = self.own if own is None else own
        key = _key(technique)
        return modules[key] if key in modules else None  # noqa: SIM401 - a ModuleDict has no get

    def state_of(self, technique: Adaptive) -> Values:
        """Return what a technique remembers."""
        return self._states.get(_key(technique), {})

    def after_step(
        self,
        segment: Segment,
        told: Mapping[Adaptive, tuple[Outputs, Mixed]],
        batch: Mixed,
        network: nn.Module,
        logits: Tensor,
    ) -> None:
        """Let the techniques of a segment look at a step.

        told: outputs and batch that each of them gets; batch: what the step trained on; logits: float [B, C], of it.
        """
        with torch.no_grad():
            if any(type(technique).after_epoch is not Adaptive.after_epoch for technique in adaptive(segment)):
                self._count(batch, logits)
            for technique, (outputs, of_technique) in told.items():
                if type(technique).after_step is not Adaptive.after_step:
                    state = self.state_of(technique)
                    self._replace(technique, technique.after_step(outputs, of_technique, network, state))

    def _count(self, batch: Mixed, logits: Tensor) -> None:
        if not self._seen:
            zeros = torch.zeros(len(self._counts), device=self._counts.device)
            self._seen = {"images": zeros, "correct": zeros.clone()}
        predicted = logits.argmax(1)
        shares = [(batch.labels_a, torch.ones(len(logits), device=logits.device) if batch.lam is None else batch.lam)]
        if batch.lam is not None:
            shares.append((batch.labels_b, 1 - batch.lam))
        for labels, share in shares:
            share = share.float()  # noqa: PLW2901
            self._seen["images"].index_add_(0, labels, share)
            self._seen["correct"].index_add_(0, labels, share * (predicted == labels))

    def after_epoch(self, segment: Segment, moment: Moment) -> None:
        """Let the techniques of a segment look at the epoch that ended. moment: of the next step."""
        seen, self._seen = self._seen, {}
        for technique in adaptive(segment):
            if type(technique).after_epoch is not Adaptive.after_epoch and seen:
                with torch.no_grad():
                    state = technique.after_epoch(Seen(**seen), self.state_of(technique), moment)
                self._replace(technique, state)

    def probe(self, technique: Adaptive, state: object) -> None:
        """Replace the state of a technique by what its `probe` returned."""
        self._replace(technique, state)

    def _replace(self, technique: Adaptive, state: object) -> None:
        before = self.state_of(technique)
        after = _checked(technique, state)
        shapes = {name: (list(value.shape), value.dtype) for name, value in before.items()}
        if {name: (list(value.shape), value.dtype) for name, value in after.items()} != shapes:
            raise output_checks.wrong_output(
                technique,
                f"a state {_described(after)}",
                f"tensors of the same names, shapes and dtypes: {_described(before)}",
            )
        if before:
            self._states[_key(technique)] = {name: value.detach() for name, value in after.items()}

    def state(self) -> Values:
        """Return everything as tensors by name."""
        tensors = add_prefix("own", self.own.state_dict()) | add_prefix("seen", self._seen)
        for key, values in self._states.items():
            tensors |= add_prefix(f"state.{key}", values)
        return tensors

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Continue from a state of a training with the same first segments."""
        device = self._counts.device
        self.own.load_state_dict(self.own.state_dict() | strip_prefix("own", tensors))
        self._seen = {name: value.to(device) for name, value in strip_prefix("seen", tensors).items()}
        for key, values in self._states.items():
            known = strip_prefix(f"state.{key}", tensors)
            self._states[key] = values | {name: value.to(device) for name, value in known.items()}


def adaptive(segment: Segment) -> list[Adaptive]:
    """Return the techniques of a segment that may learn or remember something, with those of views, each once."""
    readings = [view for view in (segment.reading, *segment.views) if view is not None]
    augments = [augment for reading in readings for augment in (reading.first, reading.augment)]
    found = [*segment.techniques, *augments]
    return list(dict.fromkeys(technique for technique in found if isinstance(technique, Adaptive)))


@lru_cache(maxsize=1024)
def _key(technique: Adaptive) -> str:
    """Return a name without dots, as a module has; cached, because it is asked for in every step."""
    return f"{technique.stage}-{identity({'name': technique.label})[:12]}"


def _checked(technique: Adaptive, state: object) -> Values:
    if isinstance(state, Mapping) and all(isinstance(value, Tensor) for value in state.values()):
        return dict(state)
    raise output_checks.wrong_output(technique, output_checks.describe(state), "a state of tensors by name")


def _described(state: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {output_checks.describe(value)}" for name, value in state.items()) or "none"
