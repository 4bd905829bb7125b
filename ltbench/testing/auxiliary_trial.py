"""An auxiliary in use: a few steps on made-up outputs, with what it learns and remembers."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from ltbench.stages import Adaptive, Auxiliary, Branches, Mixed, Moment, Outputs, Seen
from ltbench.testing.inputs import Inputs

if TYPE_CHECKING:
    from torch import Tensor, nn

WIDTH = 12
"""Number of features."""
STEPS = 40
BRANCHES = 3
"""Number of branches for an auxiliary that needs them; one for others."""


class AuxiliaryTrial:
    """Runs the steps of an auxiliary as a training does, with features from a generator instead of a network."""

    def __init__(self, technique: Auxiliary, inputs: Inputs, *, seed: int = 0, size: float = 1.0) -> None:
        """seed: of what it remembers at the start; size: standard deviation of the features."""
        import numpy as np
        import torch
        from torch import nn

        from ltbench.engine.determinism import seeded

        self.technique, self.inputs, self._size = technique, inputs, size
        # Half of the images are of the largest class, so that it has more of them than any technique draws.
        self.batch_labels = np.concatenate([inputs.batch_labels, np.zeros_like(inputs.batch_labels)])
        self.counts = inputs.tensor("counts", inputs.class_counts)
        on_cpu = inputs.tensor("counts", inputs.class_counts, on_cpu=True)
        with seeded(0, "init", torch.device("cpu")):
            number = BRANCHES if Branches.stage in technique.needs else 1
            self.layers = [nn.Linear(WIDTH, inputs.classes) for _ in range(number)]
            self.own = technique.learns(WIDTH, inputs.classes, on_cpu)
        self.slow_own = copy.deepcopy(self.own)
        for module in (*self.layers, self.own, self.slow_own):
            if isinstance(module, nn.Module):
                move(module, inputs.device)
        start = technique.remembers(WIDTH, inputs.classes, self.counts, inputs.generator(seed, on_cpu=True))
        self.state = {name: inputs.to_device(value) for name, value in start.items()}

    def views(
        self, step: int, *, altered: int | None = None, altered_slow: bool = False, altered_teacher: bool = False
    ) -> tuple[list[Outputs], list[Tensor]]:
        """Return the views of a step, and their features as leaves of the graph, float [E, B, D].

        altered: a view that has other features; altered_slow: the moving average has other ones; altered_teacher: the
        teacher has other logits.
        """
        import torch

        views, leaves = [], []
        for number in range(len(self.technique.views)):
            draw = 100 * step + 10 * number
            leaf = self._features(draw + (5 if number == altered else 0)).requires_grad_()
            slow = None
            alone = number in self.technique.slow_only
            if self.technique.momentum is not None and (alone or not self.technique.slow_only):
                with torch.no_grad():
                    other = draw + 1 + (5 if number == altered or altered_slow else 0)
                    slow = self._outputs(self._features(other), self.slow_own)
            # As in training, features are not a leaf of the graph, because in-place changes of a leaf would raise.
            teacher = None
            if self.technique.teacher:
                teacher = self._logits(draw + 2 + (5 if number == altered or altered_teacher else 0))
            view = self._outputs(self.inputs.track("features", leaf * 1), self.own, slow, teacher=teacher)
            views.append(_alone(view) if alone else view)
            leaves.append(leaf)
        return views, leaves

    def term(self, views: list[Outputs], step: int) -> Any:
        """Return the term with its weight, as the objective has it."""
        labels = self.inputs.tensor("labels", self.batch_labels)
        for name, value in self.state.items():
            self.inputs.track(f"state {name}", value)
        term = self.technique.term(views, labels, self.counts, moment(step))
        return self.technique.weight * term

    @staticmethod
    def backward(term: Any) -> None:
        """Compute gradients; also of a term of a wrong shape, which has a check of its own."""
        if getattr(term, "requires_grad", False):
            term.sum().backward()

    def after_step(self, views: list[Outputs]) -> None:
        """Let the auxiliary look at a step."""
        import torch
        from torch import nn

        if type(self.technique).after_step is Adaptive.after_step:
            return
        labels = self.inputs.tensor("labels", self.batch_labels)
        batch = Mixed(images=None, labels_a=labels, labels_b=labels, lam=None)
        features = next(view.features for view in views if view.features is not None)
        outputs = self._outputs(features, self.own, views=tuple(views))
        with torch.no_grad():
            self.state = dict(self.technique.after_step(outputs, batch, nn.Identity(), self.state))

    def after_epoch(self, step: int) -> None:
        """Let the auxiliary look at an epoch that ends before this step."""
        import torch

        if type(self.technique).after_epoch is Adaptive.after_epoch:
            return
        images = (
            torch.nn.functional.one_hot(self.inputs.tensor("labels", self.batch_labels), self.inputs.classes)
            .sum(0)
            .float()
        )
        with torch.no_grad():
            self.state = dict(
                self.technique.after_epoch(Seen(images=images, correct=images / 2), self.state, moment(step))
            )

    def run(self, steps: int) -> list[Any]:
        """Run the first steps, with the end of an epoch after the second; return the terms."""
        return [self.step(number) for number in range(steps)]

    def step(self, number: int) -> Any:
        """Run one step; return its term."""
        views, _ = self.views(number)
        term = self.term(views, number)
        self.after_step(views)
        if number % 2:
            self.after_epoch(number + 1)
        return term.detach() if hasattr(term, "detach") else term

    def restore(self, other: AuxiliaryTrial) -> None:
        """Continue from what snapshots keep of another trial."""
        for mine, module in ((self.own, other.own), (self.slow_own, other.slow_own)):
            if mine is not None and module is not None:
                mine.load_state_dict(copy.deepcopy(module.state_dict()))
        self.state = {name: value.clone() for name, value in other.state.items()}

    def _features(self, draw: int) -> Tensor:
        values = self.inputs.rng(1000 + draw).standard_normal((len(self.layers), len(self.batch_labels), WIDTH))
        return self.inputs.tensor("features", (self._size * values).astype("float32"))

    def _logits(self, draw: int) -> Tensor:
        values = self.inputs.rng(1000 + draw).standard_normal((len(self.batch_labels), self.inputs.classes))
        return self.inputs.tensor("logits of the teacher", (self._size * values).astype("float32"))

    def _outputs(
        self,
        features: Tensor,
        own: nn.Module | None,
        slow: Outputs | None = None,
        views: tuple[Outputs, ...] = (),
        teacher: Tensor | None = None,
    ) -> Outputs:
        import torch

        branches = torch.stack([layer(rows) for layer, rows in zip(self.layers, features, strict=True)])
        return Outputs(
            logits=branches.mean(0), branches=branches, features=features, layers=tuple(self.layers), own=own, state=self.state,
            slow=slow, views=views, teacher=teacher,
        )  # fmt: skip


def _alone(view: Outputs) -> Outputs:
    """Return the view as one that the moving average alone gets."""
    return Outputs(
        logits=None, branches=None, features=None, layers=view.layers, own=view.own, state=view.state, slow=view.slow
    )


def moment(step: int) -> Moment:
    """Return the moment of a step, two of which are an epoch."""
    return Moment(epoch=step // 2, epochs=STEPS / 2, step=step, steps=STEPS)


def move(module: nn.Module, device: Any) -> None:
    from ltbench.engine.fake_device import move_network

    if isinstance(device, str):
        module.to(device)
    else:
        move_network(module)
