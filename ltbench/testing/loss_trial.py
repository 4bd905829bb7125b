"""A loss in use: made-up outputs, at several moments, with what it remembers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ltbench.errors import LtbenchError
from ltbench.stages import Loss, Moment, Outputs
from ltbench.testing.inputs import Inputs
from ltbench.testing.network_outputs import LATER, START, batches, detached, network_outputs, with_state

if TYPE_CHECKING:
    from ltbench.stages import State

NUMBERS_OF_BRANCHES = (3, 2, 4, 1)
"""Numbers of branches that a loss is tried with."""


def losses_of(
    technique: Loss,
    inputs: Inputs,
    *,
    size: float = 1.0,
    branches: int | None = None,
    moment: Moment = START,
    state: State | None = None,
) -> tuple[Outputs, tuple[Any, Any], Any]:
    """Return the outputs of a network, the leaves of their graph, logits and features, and the losses of the batch.

    size: factor of the logits; branches: E, by default one, or what a loss that is told of branches is for; state: what
    the loss remembers, by default that of the start.
    """
    number = branches_for(technique, inputs) if branches is None else branches
    outputs, leaves = network_outputs(inputs, technique, branches=number, size=size, state=state)
    labels = inputs.tensor("labels", inputs.batch_labels)
    return outputs, leaves, technique.of(outputs, labels, inputs.tensor("counts", inputs.class_counts), moment)


def branches_for(technique: Loss, inputs: Inputs) -> int:
    """Return a number of branches that a loss works with: one, if it is not told of them."""
    if type(technique).of is Loss.of:
        return 1
    for number in NUMBERS_OF_BRANCHES:
        try:
            losses_of(technique, Inputs(inputs.classes), branches=number)
        except LtbenchError:
            continue
        return number
    return NUMBERS_OF_BRANCHES[0]


def results(technique: Loss, inputs: Inputs) -> dict[str, Any]:
    """Return losses and gradients at the start; of a loss with `of` also what it remembers, and later losses."""
    outputs, leaves, losses = losses_of(technique, inputs)
    if losses.requires_grad:
        losses.sum().backward()
    result = {"losses": losses, "gradients": [leaf.grad for leaf in leaves]}
    if type(technique).of is Loss.of:
        return result
    # After two steps, the second with blended images, at later moments.
    state = outputs.state
    for batch in batches(inputs):
        state = technique.after_step(detached(outputs), batch, outputs.layers[0], state)
        outputs = with_state(outputs, state)
    later = [losses_of(technique, inputs, moment=moment, state=state)[2] for moment in LATER]
    return result | {"state": dict(state), "later losses": later}
