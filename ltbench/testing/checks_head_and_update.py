"""Checks of heads and updates."""

from __future__ import annotations

import math

from ltbench.testing.check import per_setting
from ltbench.testing.head_and_update_trials import HEAD_FEATURES, UpdateTrial, head_of
from ltbench.testing.inputs import BATCH, Inputs, with_rare
from ltbench.testing.subject import Subject, failed

_STEPS = 4
"""Steps whose calls are counted."""

# --- heads ------------------------------------------------------------------------------------------------------


@per_setting
def head_returns_logits(on: Subject) -> None:
    """`build` returns a module that turns features float [B, D] into finite logits float [B, C].

    It gets the width of the features, the number of classes and the class counts, which may be 1 or 0.
    """
    import torch

    from ltbench.engine.output_checks import check_tensor

    for inputs in (Inputs(), Inputs(classes=3), Inputs(counts=with_rare())):
        features = torch.randn(BATCH, HEAD_FEATURES, generator=torch.Generator().manual_seed(0))
        logits = head_of(on.technique, inputs)(features)
        check_tensor(on.technique, "logits", logits, torch.float32, [BATCH, inputs.classes])
        for size in (0.0, 1000.0):
            if not bool(head_of(on.technique, inputs)(size * features).isfinite().all()):
                raise failed(f"logits are not finite for features of size {size:g}", "finite logits",
                             "use torch.nn.functional.normalize, which does not divide by zero")  # fmt: skip


@per_setting
def features_get_a_gradient(on: Subject) -> None:
    """The features get a finite, non-zero gradient, and so does every parameter of the head.

    Otherwise the backbone, or a part of the head, does not learn.
    """
    import torch

    inputs = Inputs()
    head = head_of(on.technique, inputs)
    features = torch.randn(BATCH, HEAD_FEATURES, generator=torch.Generator().manual_seed(0)).requires_grad_()
    logits = head(features)
    if logits.requires_grad:
        torch.nn.functional.cross_entropy(logits, torch.as_tensor(inputs.batch_labels)).backward()  # type: ignore[no-untyped-call]
    learnt = {"the features": features, **dict(head.named_parameters())}
    for name, tensor in learnt.items():
        if tensor.grad is None or not bool(tensor.grad.isfinite().all()) or not bool(tensor.grad.any()):
            raise failed(f"{name} gets no finite, non-zero gradient", "a gradient for features and all parameters",
                         "use it in forward, without detach() or no_grad(); make what is fixed a buffer")  # fmt: skip


HEAD = (head_returns_logits, features_get_a_gradient)

# --- updates ----------------------------------------------------------------------------------------------------


@per_setting
def step_lowers_a_loss(on: Subject) -> None:
    """Steps of a small learning rate lower a smooth loss, and leave every weight finite.

    A step calls `closure` at least once, and `optimizer.step()`.
    """
    trial = UpdateTrial(on.technique, Inputs())
    first = trial.loss()
    for _ in range(50):
        trial.step()
    if not math.isfinite(trial.loss()) or trial.loss() > first - 0.1:
        raise failed(f"after 50 steps a loss of {first:.3g} is {trial.loss():.3g}", "a smaller one",
                     "call closure() and then optimizer.step(); restore weights that you moved")  # fmt: skip


@per_setting
def passes_are_as_stated(on: Subject) -> None:
    """Every step calls `closure` as often as `passes` says, which is at least once.

    Plans and pages compute the cost of a training from it; a training refuses a step without a call.
    """
    trial = UpdateTrial(on.technique, Inputs())
    for number in range(_STEPS):
        before = trial.calls
        trial.step()
        calls = trial.calls - before
        if not calls:
            raise failed(f"step {number} never calls the closure", "at least one call", "call closure() in every step")
        if calls != on.technique.passes:
            raise failed(f"step {number} calls the closure {calls} times, and passes is {on.technique.passes}",
                         "equal numbers", f"passes = {calls}")  # fmt: skip


@per_setting
def step_without_a_gradient_stays_finite(on: Subject) -> None:
    """A step at a minimum, where all gradients are zero, keeps the weights finite.

    A batch may have no image of the classes that an update looks at.
    """
    trial = UpdateTrial(on.technique, Inputs(), scale=0.0)
    trial.step()
    if not bool(trial.weights.isfinite().all()):
        raise failed("weights are not finite after a step with zero gradients", "finite weights",
                     "add a small number to a norm before dividing by it")  # fmt: skip


UPDATE = (step_lowers_a_loss, passes_are_as_stated, step_without_a_gradient_stays_finite)
