"""What views, posthoc adjustments, ensembles and metrics have to hold.

Most of it is what the harness demands when a cell is derived, asked of results here before anything is trained.
"""

from __future__ import annotations

import re
from typing import Any

from ltbench.errors import LtbenchError
from ltbench.stages import LinearClassifier, Member
from ltbench.testing.ask_everything import BAGS
from ltbench.testing.check import per_setting
from ltbench.testing.inputs import BATCH, World, with_rare
from ltbench.testing.subject import Subject, failed

# --- views ------------------------------------------------------------------------------------------------------


@per_setting
def views_keep_the_shape(on: Subject) -> None:
    """There is a view or more, each a function that returns images float [B, channels, size, size] as it got them.

    The network is made for images of one size.
    """
    import torch

    from ltbench.engine.output_checks import check_tensor

    view: Any = on.technique
    views = view.views()
    if not (
        hasattr(views, "items") and views and all(isinstance(name, str) and callable(of) for name, of in views.items())
    ):
        raise failed(f"views() returned {views!r}", "functions by name", '{"identity": lambda images: images}')
    for channels in (1, 3):
        images = torch.as_tensor(World().rng(2).standard_normal((4, channels, 8, 8)).astype("float32"))
        for name, of in views.items():
            check_tensor(view, f"as '{name}' images", of(images), torch.float32, list(images.shape))


@per_setting
def the_view_called_identity_is_the_image(on: Subject) -> None:
    """A view with the name `identity` leaves the image as it is.

    Predictions of that name are shared by all techniques.
    """
    import torch

    view: Any = on.technique
    of = view.views().get("identity")
    images = torch.as_tensor(World().rng(2).standard_normal((4, 3, 8, 8)).astype("float32"))
    if of is not None and not torch.equal(of(images), images):
        raise failed("its view 'identity' changes the image", "the image as it is", "give the view another name")


@per_setting
def merges_to_probabilities(on: Subject) -> None:
    """`merge` returns probabilities [N, C]: finite, from 0 to 1, with a sum of 1 in each row.

    Also where the parts are all but certain.
    """
    from ltbench.jobs.plugin_calls import merge_checked

    technique: Any = on.technique
    world = World()
    for size in (1.0, 400.0):
        if technique.stage == "view":
            parts = [size * world.logits(seed=seed) for seed in range(len(technique.views()))]
        else:
            members = technique.members(world.counts)
            parts = [_sharpened(world.probabilities(seed=seed), size) for seed in range(len(members))]
        merge_checked(on.alone, technique, technique.merge, world.array("parts", parts))


def _sharpened(probabilities: Any, power: float) -> Any:
    raised = (probabilities / probabilities.max(1, keepdims=True)) ** power
    return raised / raised.sum(1, keepdims=True)


VIEW = (views_keep_the_shape, the_view_called_identity_is_the_image, merges_to_probabilities)

# --- posthoc ----------------------------------------------------------------------------------------------------


@per_setting
def adjusted_logits_are_finite(on: Subject) -> None:
    """Adjusted logits are finite and [N, C], also where a class has a single training image, or none.

    A class without a trained row of the classifier, all of its weights zero, is no exception.
    """
    from ltbench.jobs.plugin_calls import adjust_checked

    posthoc: Any = on.technique
    for world in (World(), World(counts=with_rare())):
        norms = 0.5 + world.rng(5).random(world.classes)
        for least in (norms[0], 0.0):
            classifier = LinearClassifier(world.array("norms", [*norms[:-1], least]), world.array("bias", norms))
            adjust_checked(on.alone, posthoc, world.array("logits", world.logits()), world.class_counts, classifier)


@per_setting
def an_image_is_adjusted_by_itself(on: Subject) -> None:
    """The adjusted logits of an image do not depend on which other images are tested with it.

    A test image comes alone in use; what looks at all of them has seen the test set.
    """
    import numpy as np

    posthoc: Any = on.technique
    world = World()
    norms, bias = 0.5 + world.rng(5).random(world.classes), world.rng(6).standard_normal(world.classes)
    classifier = LinearClassifier(norms, bias)
    logits = world.logits()
    together = posthoc.adjust_linear(logits.copy(), world.class_counts, classifier)
    alone = posthoc.adjust_linear(logits[::3].copy(), world.class_counts, classifier)
    if not np.allclose(np.asarray(together)[::3], alone, rtol=1e-6, atol=1e-8):
        raise failed(
            "the logits of an image change with the images beside it", "the same for any others", "work row by row"
        )


POSTHOC = (adjusted_logits_are_finite, an_image_is_adjusted_by_itself)

# --- ensembles --------------------------------------------------------------------------------------------------


@per_setting
def members_are_trainings(on: Subject) -> None:
    """`members` returns one `Member` or more, no two of them the same training, for few classes and for many.

    Two members that are the same are trained once and counted twice.
    """
    ensemble: Any = on.technique
    for world in (World(), World(2), World(1000), World(counts=with_rare())):
        members = ensemble.members(world.counts)
        fix = "return [Member(seed_offset=number) for number in range(3)]"
        if not (isinstance(members, (list, tuple)) and members and all(isinstance(one, Member) for one in members)):
            raise failed(f"members() returned {members!r}", "one Member or more", fix)
        if len(set(members)) < len(members):
            twice = next(one for one in members if members.count(one) > 1)
            raise failed(f"members() returned {twice} twice", "members that differ in model, bag or seed", fix)


@per_setting
def members_are_of_models(on: Subject) -> None:
    """A member names a model, or none for the cell's own: never the ensemble itself, nor another technique.

    An ensemble that asks for itself has no end.
    """
    ensemble: Any = on.technique
    for member in ensemble.members(World().counts):
        if not member.model:
            continue
        name = re.split(r"\[", member.model, maxsplit=1)[0].strip()
        fix = 'the name of a model, such as Member(model="convnet"), or Member() for the cell\'s own'
        if name == ensemble.name:
            raise failed(f"it asks for itself, '{name}', as a member", "a model", fix)
        try:
            stage = on.registry.parse(member.model).stage
        except LtbenchError as error:
            raise failed(
                f"it asks for the member '{member.model}': {error.what}", "a model that is there", fix
            ) from None
        if stage != "model":
            raise failed(f"it asks for '{member.model}', a {stage}, as a member", "a model", fix)


@per_setting
def bags_are_training_images(on: Subject) -> None:
    """A bag is int64 indices of training images, one or more.

    Every member with the number of a bag trains on that bag.
    """
    import numpy as np

    ensemble: Any = on.technique
    for world in (World(), World(2)):
        numbers = [member.bag for member in ensemble.members(world.counts) if member.bag is not None]
        for number in numbers[:BAGS]:
            bag = ensemble.bag(number, world.array("labels", world.labels), world.rng(8))
            if not (isinstance(bag, np.ndarray) and bag.dtype == np.int64 and bag.ndim == 1 and len(bag)):
                seen = f"{bag.dtype} {list(bag.shape)}" if isinstance(bag, np.ndarray) else type(bag).__name__
                raise failed(f"bag {number} is {seen}", "int64 indices in one dimension", "np.flatnonzero(...)")
            if bag.min() < 0 or bag.max() >= len(world.labels):
                raise failed(
                    f"bag {number} has indices from {bag.min()} to {bag.max()}", f"0 to {len(world.labels) - 1}",
                    "indices into the labels that are handed in",
                )  # fmt: skip


ENSEMBLE = (members_are_trainings, members_are_of_models, bags_are_training_images, merges_to_probabilities)

# --- metrics ----------------------------------------------------------------------------------------------------


@per_setting
def numbers_are_finite_or_none(on: Subject) -> None:
    """`compute` returns finite numbers by name, or None where one is undefined; lists have one number per class.

    Also where a class has no test image, where one is never predicted, and where every prediction is right.
    """
    from ltbench.jobs.plugin_calls import compute_metrics

    metric: Any = on.technique
    for world in (World(), World(2), World(counts=with_rare())):
        probabilities = world.probabilities()
        best = probabilities.argmax(1)
        for labels in (world.batch_labels, 0 * world.batch_labels, best):
            compute_metrics(on.alone, [metric], probabilities.copy(), world.array("labels", labels), world.class_counts)


@per_setting
def a_metric_looks_at_all_images(on: Subject) -> None:
    """The order of the test images changes nothing.

    Sums may differ in the last digits.
    """
    from ltbench.testing.flat_values import difference, flat

    metric: Any = on.technique
    world = World()
    probabilities, labels = world.probabilities(), world.rng(9).integers(world.classes, size=BATCH)
    order = world.rng(10).permutation(BATCH)
    one = flat(dict(metric.compute(probabilities.copy(), labels.copy(), world.class_counts)))
    other = flat(dict(metric.compute(probabilities[order], labels[order], world.class_counts)))
    if place := difference(one, other, tolerance=1e-9):
        raise failed(
            f"'{place}' changes with the order of the images", "the same in any order", "pair each row with its label"
        )


@per_setting
def columns_have_numbers(on: Subject) -> None:
    """Each column that the metric declares belongs to a number that `compute` returns.

    A misspelt one would never be shown.
    """
    metric: Any = on.technique
    world = World()
    numbers = metric.compute(world.probabilities(), world.array("labels", world.batch_labels), world.class_counts)
    if unknown := sorted({column.name for column in metric.columns} - set(numbers)):
        raise failed(
            f"a column '{unknown[0]}', which compute does not return", f"one of {', '.join(sorted(numbers))}",
            "give column and number the same name",
        )  # fmt: skip


METRIC = (numbers_are_finite_or_none, a_metric_looks_at_all_images, columns_have_numbers)
