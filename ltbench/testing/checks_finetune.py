"""Checks of ways of fine-tuning."""

from __future__ import annotations

import copy

from ltbench.testing.check import per_setting
from ltbench.testing.finetune_trial import FinetuneTrial
from ltbench.testing.inputs import BATCH, Inputs
from ltbench.testing.subject import Subject, failed


@per_setting
def adapted_network_returns_logits(on: Subject) -> None:
    """The adapted network has `get_classifier()`, something learns besides, and it returns logits float [B, classes].

    Something in the backbone learns unless `trainable` is "classifier", and the logits depend on all that was added.
    """
    import torch

    from ltbench.engine.output_checks import check_tensor

    inputs = Inputs()
    trial = FinetuneTrial(on.technique, inputs)
    check_tensor(on.technique, "logits", trial.logits(), torch.float32, [BATCH, inputs.classes])
    inside = {id(parameter) for parameter in trial.network.parameters()}
    head = trial.network.get_classifier()  # type: ignore[operator]
    if not all(id(parameter) in inside for parameter in head.parameters()):
        raise failed("get_classifier() of the adapted network is not part of it", "its last layer", "return that layer")


@per_setting
def what_is_frozen_stays(on: Subject) -> None:
    """Training changes no parameter that does not learn.

    Otherwise it is not the fine-tuning that its row names.
    """
    trial = FinetuneTrial(on.technique, Inputs())
    trial.train()
    learning = {parameter for _, members in trial.rules.groups(trial.network.parameters()) for parameter in members}
    frozen = {name for name, parameter in trial.network.named_parameters() if parameter not in learning}
    after = trial.network.state_dict()
    changed = [name for name in trial.before if name in frozen and not after[name].equal(trial.before[name])]
    if changed:
        raise failed(
            f"training changed {changed[0]}, which does not learn", "frozen weights that stay bit-identical",
            "add to the output of a frozen layer, and never assign to its weights",
        )  # fmt: skip


@per_setting
def additions_are_in_the_state(on: Subject) -> None:
    """Everything that learns is in the state of the network: loaded into another one, it gives the same logits.

    Predictions and resumed trainings only have the stored weights.
    """
    trial = FinetuneTrial(on.technique, Inputs())
    trial.train()
    other = trial.build()
    other.load_state_dict(trial.network.state_dict())
    if not trial.logits().equal(trial.logits(other)):
        raise failed(
            "a network with the stored weights returns other logits", "equal logits",
            "keep every tensor as a parameter or a buffer of a module of the network",
        )  # fmt: skip


@per_setting
def copies_are_independent(on: Subject) -> None:
    """A copy of the adapted network is independent of the original.

    The moving average of the weights is a copy. A hook on a layer still refers to the modules of the original.
    """
    trial = FinetuneTrial(on.technique, Inputs())
    twin = copy.deepcopy(trial.network)
    before = trial.logits(twin)
    trial.train()
    if not trial.logits(twin).equal(before):
        raise failed(
            "a copy of the adapted network changes when the original is trained", "an independent copy",
            "replace layers by modules of your own instead of registering hooks",
        )  # fmt: skip


FINETUNE = (adapted_network_returns_logits, what_is_frozen_stays, additions_are_in_the_state, copies_are_independent)
