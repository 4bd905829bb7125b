"""What techniques are told during a training: made-up moments, labels, second streams and states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ltbench.stages import Adaptive, Augment, Mix, Moment, Partner, Seen, Told
from ltbench.testing.inputs import Inputs

if TYPE_CHECKING:
    from ltbench.stages import State

EPOCHS = 10
"""Epochs of the training in which a technique is called."""
PROBES = 2
"""Epochs after which a technique that remembers something is asked for its next state, with few classes."""
FEW = 100
"""Classes up to which there are several such epochs."""
FEATURES = 6
"""Width of the features that a classifier is given."""


def is_told(augment: Augment) -> bool:
    """Whether an augmentation uses what it is told, instead of images alone."""
    return type(augment).apply_to is not Augment.apply_to


def moment_at(epoch: int) -> Moment:
    """Return the first moment of an epoch of a training of `EPOCHS` epochs."""
    return Moment(epoch=epoch, epochs=float(EPOCHS), step=10 * epoch, steps=10 * EPOCHS)


def told(technique: Adaptive, inputs: Inputs, size: int, at: Moment, state: State, seed: int = 0) -> Told:
    """Return what a technique is told about a batch of this size. seed: of the batch of the second stream."""
    labels = inputs.tensor("labels", inputs.batch_labels[:size])
    counts = inputs.tensor("counts", inputs.class_counts)
    partner = None
    if isinstance(technique, Mix) and technique.partner:
        pixels = inputs.rng(20 + seed).standard_normal((size, 3, inputs.pixels, inputs.pixels)).astype("float32")
        others = inputs.rng(40 + seed).permutation(inputs.batch_labels[:size])
        partner = Partner(
            images=inputs.tensor("images of the second stream", pixels),
            labels=inputs.tensor("labels of the second stream", others),
        )
    own = technique.learns(FEATURES, inputs.classes, inputs.tensor("counts", inputs.class_counts, on_cpu=True))
    for name, value in state.items():
        inputs.track(f"the state {name}", value)
    indices = inputs.tensor("indices", inputs.rng(60 + seed).integers(0, len(inputs.labels), size))
    return Told(indices=indices, labels=labels, counts=counts, moment=at, state=state, own=own, partner=partner)


def states(technique: Adaptive, inputs: Inputs) -> list[State]:
    """Return the state of a technique at the start and, if it has one, after each of some epochs."""
    counts = inputs.tensor("counts", inputs.class_counts)
    given = technique.remembers(FEATURES, inputs.classes, counts, inputs.generator(11, on_cpu=True))
    found: list[State] = [{name: inputs.to_device(value) for name, value in given.items()}]
    images = inputs.tensor("stored images", inputs.flat_images())
    labels = inputs.tensor("labels of all images", inputs.labels)

    def predict(pictures: Any) -> Any:
        """Return the class whose brightness is nearest, which is the right one for an image that is not augmented."""
        classes = labels.new_ones(inputs.classes).cumsum(0) - 1
        return -((pictures.flatten(1).mean(1)[:, None] - classes / inputs.classes) ** 2)

    probes = (PROBES if inputs.classes <= FEW else 1) if found[0] else 0
    for epoch in range(1, probes + 1):
        seen = Seen(images=counts.float(), correct=counts.float() * 0.5)
        state = technique.after_epoch(seen, found[-1], moment_at(epoch))
        stream = inputs.generator(20 + epoch)
        found.append(technique.probe(predict, images, labels, state, moment_at(epoch), stream))
    return found
