"""Checks of views, ensembles and metrics.

The harness makes most of these checks when it derives a cell; here they run before anything is trained.
"""

from __future__ import annotations

import math
import re
from typing import Any

from ltbench.core.words import with_article
from ltbench.errors import LtbenchError
from ltbench.stages import MEMBER_STAGES, Member, Regime
from ltbench.testing.check import per_setting
from ltbench.testing.inputs import BATCH, Inputs, with_rare
from ltbench.testing.stage_calls import BAGS
from ltbench.testing.subject import Subject, failed

# --- views ------------------------------------------------------------------------------------------------------


@per_setting
def views_keep_the_shape(on: Subject) -> None:
    """There is at least one view, and each maps images float [B, channels, size, size] to the same shape.

    The network is built for images of one size.
    """
    import torch

    from ltbench.engine.output_checks import check_tensor

    views = on.technique.views()
    if not (
        hasattr(views, "items") and views and all(isinstance(name, str) and callable(of) for name, of in views.items())
    ):
        raise failed(f"views() returned {views!r}", "functions by name", '{"identity": lambda images: images}')
    for channels in (1, 3):
        images = torch.as_tensor(Inputs().rng(2).standard_normal((4, channels, 8, 8)).astype("float32"))
        for name, of in views.items():
            check_tensor(on.technique, f"as '{name}' images", of(images), torch.float32, list(images.shape))


@per_setting
def identity_view_is_unchanged(on: Subject) -> None:
    """A view named `identity` returns the unchanged image.

    All techniques share the predictions of that view.
    """
    import torch

    of = on.technique.views().get("identity")
    images = torch.as_tensor(Inputs().rng(2).standard_normal((4, 3, 8, 8)).astype("float32"))
    if of is not None and not torch.equal(of(images), images):
        raise failed("its view 'identity' changes the image", "the unchanged image", "rename the view")


@per_setting
def merges_to_probabilities(on: Subject) -> None:
    """`merge` returns probabilities [N, C]: finite, in [0, 1], with rows that sum to 1.

    Also tested with predictions that are almost certain.
    """
    from ltbench.jobs.plugin_calls import merge_checked

    technique = on.technique
    inputs = Inputs()
    for size in (1.0, 400.0):
        if technique.stage == "view":
            parts = [size * inputs.logits(seed=seed) for seed in range(len(technique.views()))]
        else:
            members = technique.members(inputs.counts)
            parts = [_sharpened(inputs.probabilities(seed=seed), size) for seed in range(len(members))]
        merge_checked(on.provenance, technique, technique.merge, inputs.array("parts", parts))


def _sharpened(probabilities: Any, power: float) -> Any:
    raised = (probabilities / probabilities.max(1, keepdims=True)) ** power
    return raised / raised.sum(1, keepdims=True)


VIEW = (views_keep_the_shape, identity_view_is_unchanged, merges_to_probabilities)

# --- ensembles --------------------------------------------------------------------------------------------------


@per_setting
def members_are_distinct(on: Subject) -> None:
    """`members` returns one or more distinct `Member`s, for few classes and for many.

    Equal members would be trained once and counted twice.
    """
    for inputs in (Inputs(), Inputs(2), Inputs(1000), Inputs(counts=with_rare())):
        members = on.technique.members(inputs.counts)
        fix = "return [Member(seed_offset=number) for number in range(3)]"
        if not (
            isinstance(members, (list, tuple)) and members and all(isinstance(member, Member) for member in members)
        ):
            raise failed(f"members() returned {members!r}", "at least one Member", fix)
        if len(set(members)) < len(members):
            twice = next(member for member in members if members.count(member) > 1)
            raise failed(f"members() returned {twice} twice", "members that differ in model, bag or seed", fix)


@per_setting
def members_name_models(on: Subject) -> None:
    """Each member names a model, or none for the model of the cell, and never the ensemble or another technique.

    An ensemble that contains itself would be infinite.
    """
    for member in on.technique.members(Inputs().counts):
        if not member.model:
            continue
        name = re.split(r"\[", member.model, maxsplit=1)[0].strip()
        fix = 'the name of a model, such as Member(model="convnet"), or Member() for the cell\'s own'
        if name == on.technique.name:
            raise failed(f"it names itself, '{name}', as a member", "a model", fix)
        try:
            stage = on.registry.parse(member.model).stage
        except LtbenchError as error:
            raise failed(f"it names the member '{member.model}': {error.what}", "an installed model", fix) from None
        if stage != "model":
            raise failed(f"it names '{member.model}', {with_article(stage)}, as a member", "a model", fix)


@per_setting
def members_train_what_they_can(on: Subject) -> None:
    """`until` of a member is a point of its training, and its techniques are installed, of stages up to the regime.

    A training ends at 1 unless a regime goes on, which an ensemble with later members `needs`. A member replaces techniques
    of the cell; view, posthoc and ensemble are those of the cell for all members.
    """
    for member in on.technique.members(Inputs().counts):
        if member.until is not None and not (math.isfinite(member.until) and member.until > 0):
            raise failed(f"a member ends at {member.until}", "a fraction of the training", "Member(until=0.5)")
        if (member.until or 0) > 1 and not any(
            _is_regime(on, one) for one in (*on.technique.needs, *member.techniques)
        ):
            raise failed(f"a member ends at {member.until:g}, after the end of a training",
                         "1 at most, or a regime that it needs", 'Member(until=1.0), or needs = {"regime": "..."}')  # fmt: skip
        for text in member.techniques:
            stages = ", ".join(MEMBER_STAGES)
            try:
                stage = on.registry.parse(text).stage
            except LtbenchError as error:
                fix = f"the name of a technique of {stages}"
                raise failed(f"a member has '{text}': {error.what}", "an installed technique", fix) from None
            if stage not in MEMBER_STAGES:
                raise failed(f"a member has '{text}', {with_article(stage)}", f"a technique of {stages}", "remove it")


def _is_regime(on: Subject, name: str) -> bool:
    """Whether a name is that of a regime, or of the stage."""
    if name == Regime.stage:
        return True
    try:
        return on.registry.parse(name).stage == Regime.stage
    except LtbenchError:
        return False


@per_setting
def bags_are_training_images(on: Subject) -> None:
    """A bag is an int64 array with at least one index of a training image.

    Members train on the bag with their number.
    """
    import numpy as np

    for inputs in (Inputs(), Inputs(2)):
        numbers = [member.bag for member in on.technique.members(inputs.counts) if member.bag is not None]
        for number in numbers[:BAGS]:
            bag = on.technique.bag(number, inputs.array("labels", inputs.labels), inputs.rng(8))
            if not (isinstance(bag, np.ndarray) and bag.dtype == np.int64 and bag.ndim == 1 and len(bag)):
                actual = f"{bag.dtype} {list(bag.shape)}" if isinstance(bag, np.ndarray) else type(bag).__name__
                raise failed(f"bag {number} is {actual}", "int64 indices in one dimension", "np.flatnonzero(...)")
            if bag.min() < 0 or bag.max() >= len(inputs.labels):
                raise failed(
                    f"bag {number} has indices in the range {bag.min()} to {bag.max()}", f"0 to {len(inputs.labels) - 1}",
                    "return indices into the labels in the arguments",
                )  # fmt: skip


ENSEMBLE = (
    members_are_distinct,
    members_name_models,
    members_train_what_they_can,
    bags_are_training_images,
    merges_to_probabilities,
)

# --- metrics ----------------------------------------------------------------------------------------------------


@per_setting
def values_are_finite_or_none(on: Subject) -> None:
    """`compute` returns finite numbers by name, None if undefined; lists have one number per class.

    Also tested with classes without test images, classes that are never predicted, and only correct predictions.
    """
    from ltbench.jobs.metrics import checked_numbers

    for inputs in (Inputs(), Inputs(2), Inputs(counts=with_rare())):
        probabilities = inputs.probabilities()
        best = probabilities.argmax(1)
        for labels in (inputs.batch_labels, 0 * inputs.batch_labels, best):
            checked_numbers(
                on.provenance, on.technique, probabilities.copy(), inputs.array("labels", labels), inputs.class_counts
            )


@per_setting
def metric_ignores_image_order(on: Subject) -> None:
    """The values do not depend on the order of the test images.

    Sums may differ in the last digits.
    """
    from ltbench.testing.flat_values import difference, flat

    inputs = Inputs()
    probabilities, labels = inputs.probabilities(), inputs.rng(9).integers(inputs.classes, size=BATCH)
    order = inputs.rng(10).permutation(BATCH)
    ordered = flat(dict(on.technique.compute(probabilities.copy(), labels.copy(), inputs.class_counts)))
    shuffled = flat(dict(on.technique.compute(probabilities[order], labels[order], inputs.class_counts)))
    if place := difference(ordered, shuffled, tolerance=1e-9):
        raise failed(f"'{place}' depends on the order of the images", "equal values", "pair each row with its label")


@per_setting
def columns_have_numbers(on: Subject) -> None:
    """Each column that the metric declares belongs to a number that `compute` returns.

    A misspelt column would never be shown.
    """
    metric = on.technique
    inputs = Inputs()
    numbers = metric.compute(inputs.probabilities(), inputs.array("labels", inputs.batch_labels), inputs.class_counts)
    if unknown := sorted({column.name for column in metric.columns} - set(numbers)):
        raise failed(
            f"a column '{unknown[0]}', which compute does not return", f"one of {', '.join(sorted(numbers))}",
            "give column and number the same name",
        )  # fmt: skip


METRIC = (values_are_finite_or_none, metric_ignores_image_order, columns_have_numbers)
