"""Checks that a training can be resumed: nothing is kept but what snapshots have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ltbench.stages import Augment, Loss, Mix
from ltbench.testing.check import per_technique
from ltbench.testing.finding import Skip
from ltbench.testing.flat_values import Flat, difference, flat
from ltbench.testing.head_and_update_trials import UpdateTrial
from ltbench.testing.inputs import BATCH, Inputs
from ltbench.testing.loss_trial import branches_for, losses_of
from ltbench.testing.randomness import seeded
from ltbench.testing.subject import Subject, failed
from ltbench.testing.told import EPOCHS, moment_at, states, told

Call = Callable[[int], Any]
"""Epoch -> what a technique returns in its first step."""

_FIX = "use the moment; keep what else is needed in the state of remembers() and after_step()"


@per_technique
def calls_do_not_depend_on_earlier_ones(on: Subject) -> None:
    """A call depends only on its arguments, not on the calls before it.

    A resumed training goes on without them. The moment says how far it is, and a state is part of snapshots.
    """
    call = _CALLS[on.technique.stage](on.technique)

    def last_of(epochs: Sequence[int]) -> Flat:
        for epoch in epochs[:-1]:
            call(epoch)
        with seeded(0):  # global randomness has a check of its own
            return flat({"the result": call(epochs[-1])})

    last = EPOCHS - 1
    usual = last_of([0, last])
    # Several times, because small differences may be rounded away.
    if any(difference(usual, last_of([0, last])) for _ in range(3)):
        raise Skip("it is not deterministic")
    for epochs in ([0, last, last], [0, 1, 2, last], [last]):
        if place := difference(usual, last_of(epochs)):
            raise failed(f"{place} of equal calls differs after other calls", "equal results", _FIX)


def _loss(technique: Loss) -> Call:
    branches = branches_for(technique, Inputs())
    return lambda epoch: losses_of(technique, Inputs(), branches=branches, moment=moment_at(epoch))[2]


def _augment(technique: Augment) -> Call:
    inputs = Inputs()
    images = inputs.tensor("images", inputs.images(12, 3, 2 * inputs.pixels) / 255).float()
    state = states(technique, inputs)[-1]
    return lambda epoch: technique.apply_to(
        images.clone(), told(technique, inputs, len(images), moment_at(epoch), state), inputs.generator(3)
    )


def _mix(technique: Mix) -> Call:
    inputs = Inputs()
    shape = (BATCH, 3, inputs.pixels, inputs.pixels)
    images = inputs.tensor("images", inputs.rng(2).standard_normal(shape).astype("float32"))
    state = states(technique, inputs)[-1]
    return lambda epoch: technique.blend(
        images.clone(), told(technique, inputs, BATCH, moment_at(epoch), state), inputs.generator(3)
    )


_CALLS: dict[str, Callable[[Any], Call]] = {"loss": _loss, "augment": _augment, "mix": _mix}


@per_technique
def resumes_from_the_optimizer(on: Subject) -> None:
    """Steps after a resumption have the same bits as without it.

    Snapshots have the weights and the state of the optimiser. So nothing else may be kept: not in the technique, nor in a
    global variable.
    """
    running = UpdateTrial(on.technique, Inputs())
    for _ in range(2):
        running.step()
    resumed = UpdateTrial(type(on.technique).parse(on.technique.params), Inputs())
    resumed.restore(running)
    for _ in range(3):
        running.step()
        resumed.step()
    if not bool((running.weights == resumed.weights).all()):
        raise failed("weights differ after a resumption", "those of an uninterrupted training",
                     "keep what the next step needs in optimizer.state[parameter]")  # fmt: skip


CALLS = (calls_do_not_depend_on_earlier_ones,)
UPDATE = (resumes_from_the_optimizer,)
