"""What samplers, augmentations and mixes have to hold."""

from __future__ import annotations

from typing import Any

from ltbench.testing.ask_everything import BATCH_SIZE
from ltbench.testing.check import per_setting
from ltbench.testing.finding import Skip
from ltbench.testing.inputs import BATCH, World, with_rare
from ltbench.testing.subject import Subject, failed

LEVEL = 1e-4
"""Below this chance draws are held not to be what is stated; the seeds are fixed, so a check that passes always does."""
DRAWS = 6000
RUNS = 8
"""Runs over which draws are counted: what is drawn once per run has to be right on average."""

# --- samplers ---------------------------------------------------------------------------------------------------


def _world_of(on: Subject, world: World) -> tuple[Any, Any, Any, Any]:
    """Return the sampler, labels, class counts and its pool."""
    sampler: Any = on.technique
    labels = world.tensor("labels", world.labels, on_cpu=True)
    counts = world.tensor("counts", world.class_counts, on_cpu=True)
    return sampler, labels, counts, sampler.pool(labels, counts, world.generator(0, on_cpu=True))


@per_setting
def draws_are_training_images(on: Subject) -> None:
    """Pool and epochs are int64 indices of training images, an epoch has images of its pool alone.

    Also where a class has a single image, or none.
    """
    import torch

    from ltbench.engine.output_checks import check_indices

    for world in (World(), World(counts=with_rare())):
        sampler, labels, counts, pool = _world_of(on, world)
        check_indices(sampler, "pool", pool, len(labels))
        epoch = sampler.epoch(pool, labels, counts, BATCH_SIZE, world.generator(1, on_cpu=True))
        check_indices(sampler, "an epoch", epoch, len(labels))
        strangers = epoch[~torch.isin(epoch, pool)]
        if len(strangers):
            raise failed(
                f"an epoch visits image {int(strangers[0])}, which is not in its pool",
                "images of the pool",
                "return pool[...]",
            )


@per_setting
def epochs_are_equally_long(on: Subject) -> None:
    """Every epoch has as many images as the first.

    The number of steps of a training is known before it begins.
    """
    world = World()
    sampler, labels, counts, pool = _world_of(on, world)
    drawing = world.generator(1, on_cpu=True)
    lengths = [len(sampler.epoch(pool, labels, counts, BATCH_SIZE, drawing)) for _ in range(6)]
    if len(set(lengths)) > 1:
        raise failed(
            f"epochs have {lengths} images", "the same number each", "decide the length from labels and counts alone"
        )


@per_setting
def the_batch_size_is_a_whole_number(on: Subject) -> None:
    """`batch_size` returns a whole number of at least 2, for few classes and for many.

    Batch normalisation has no variance of one image.
    """
    sampler: Any = on.technique
    for classes in (2, 10, 1000):
        size = sampler.batch_size(BATCH_SIZE, classes)
        if not (isinstance(size, int) and size >= 2):
            raise failed(
                f"batch_size({BATCH_SIZE}, {classes}) is {size!r}", "a whole number of at least 2", "max(2, ...)"
            )


@per_setting
def draws_are_as_stated(on: Subject) -> None:
    """Classes are drawn with the shares that `share` states.

    By a chi-squared test over several runs, with fixed seeds.
    """
    import numpy as np
    from scipy.special import chdtrc

    world = World(counts=[400, 130, 40, 12, 4])
    sampler, labels, counts, _ = _world_of(on, world)
    stated = sampler.share(counts)
    if stated is None:
        raise Skip("it states no share: implement `share` where the distribution is exact")
    shares = np.asarray(stated.tolist(), np.float64)
    if shares.shape != (world.classes,) or not (shares >= 0).all() or abs(shares.sum() - 1) > 1e-6:
        raise failed(
            f"share returned {shares.tolist()}", f"{world.classes} shares that sum to 1", "divide by their sum"
        )
    drawn = np.zeros(world.classes)
    for run in range(RUNS):
        pool = sampler.pool(labels, counts, world.generator(100 + run, on_cpu=True))
        drawing, seen = world.generator(200 + run, on_cpu=True), 0
        while seen < DRAWS / RUNS:
            epoch = sampler.epoch(pool, labels, counts, BATCH_SIZE, drawing)
            drawn += np.bincount(labels[epoch].numpy(), minlength=world.classes)
            seen += max(1, len(epoch))
    expected = shares * drawn.sum()
    possible = shares > 0
    chance = 0.0
    if not drawn[~possible].any():
        distance = ((drawn - expected)[possible] ** 2 / expected[possible]).sum()
        chance = float(chdtrc(max(1, int(possible.sum()) - 1), distance))
    if chance < LEVEL:
        raise failed(
            f"of class counts {world.counts} it drew the shares {(drawn / drawn.sum()).round(3).tolist()}",
            f"{shares.round(3).tolist()} as `share` states (p = {chance:.1g})",
            "correct the draws, or what `share` and the docstring say of them",
        )  # fmt: skip


SAMPLER = (draws_are_training_images, epochs_are_equally_long, the_batch_size_is_a_whole_number, draws_are_as_stated)

# --- augmentations ----------------------------------------------------------------------------------------------


@per_setting
def images_keep_their_shape_and_range(on: Subject) -> None:
    """`apply` and `batch` return float32 images of the same shape with values in [0, 1], grey or in colour.

    Normalisation comes afterwards and takes them to be pixels.
    """
    import torch

    from ltbench.engine.output_checks import check_tensor

    augment: Any = on.technique
    world = World()
    for channels in (1, 3):
        stored = torch.as_tensor(world.images(12, channels, 16))
        prepared = augment.prepare(stored.clone())
        for seed in range(2):
            changed = augment.apply(stored / 255, world.generator(seed))
            read = augment.batch(prepared, torch.arange(12), world.generator(seed))
            for what, images in (("apply", changed), ("batch", read)):
                check_tensor(augment, f"from {what} images", images, torch.float32, [12, channels, 16, 16])
                low, high = float(images.min()), float(images.max())
                if not (low >= 0 and high <= 1):
                    raise failed(
                        f"{what} returned values from {low:g} to {high:g}", "values in [0, 1]", "images.clamp(0, 1)"
                    )


@per_setting
def both_ways_are_one(on: Subject) -> None:
    """`batch` of what `prepare` made is what `apply` makes of the same images with an equal generator.

    The one is only the fast way of the other.
    """
    import torch

    augment: Any = on.technique
    world = World()
    indices = torch.tensor([5, 1, 1, 11])
    for channels in (1, 3):
        stored = torch.as_tensor(world.images(12, channels, 16))
        fast = augment.batch(augment.prepare(stored.clone()), indices, world.generator(5))
        plain = augment.apply(stored[indices] / 255, world.generator(5))
        if fast.shape != plain.shape or not torch.allclose(fast.float(), plain.float(), rtol=0, atol=1e-5):
            raise failed("batch and apply give different images", "the same", "draw in the same order in both")


@per_setting
def a_batch_has_memory_of_its_own(on: Subject) -> None:
    """What is written to a batch does not reach the stored images.

    Batches are normalised in place.
    """
    import torch

    augment: Any = on.technique
    world = World()
    stored = torch.as_tensor(world.images(4, 3, 16))
    prepared = augment.prepare(stored)
    kept, before = stored.clone(), augment.batch(prepared, torch.arange(4), world.generator(5)).clone()
    augment.batch(prepared, torch.arange(4), world.generator(5)).zero_()
    after = augment.batch(prepared, torch.arange(4), world.generator(5))
    if not (torch.equal(stored, kept) and torch.equal(before, after)):
        raise failed("a batch shares memory with what is stored", "memory of its own", "images.clone()")


AUGMENT = (images_keep_their_shape_and_range, both_ways_are_one, a_batch_has_memory_of_its_own)

# --- mixes ------------------------------------------------------------------------------------------------------


@per_setting
def a_blend_has_the_shape_of_its_batch(on: Subject) -> None:
    """`mix` returns a `Mixed`: images as they came in shape and dtype, two labels int64 [B], lambdas float [B].

    Labels are those of the data set, lambdas in [0, 1]: a loss is `lam * loss(a) + (1 - lam) * loss(b)`.
    """
    import torch

    from ltbench.engine.output_checks import check_mixed

    mix: Any = on.technique
    world = World()
    images = torch.as_tensor(world.rng(2).standard_normal((BATCH, 3, 8, 8)).astype("float32"))
    labels, counts = torch.as_tensor(world.batch_labels), torch.as_tensor(world.class_counts)
    for seed in range(8):
        check_mixed(mix, mix.mix(images, labels, counts, world.generator(seed)), images, world.classes)


@per_setting
def a_blend_is_of_its_two_labels(on: Subject) -> None:
    """Each pixel of a blended image lies between those of images with the two labels that are returned.

    Tried with images of one value each, by label: otherwise the labels are not those of what is shown.
    """
    import torch

    mix: Any = on.technique
    world = World()
    labels = torch.as_tensor(world.batch_labels)
    images = labels.float()[:, None, None, None].expand(-1, 3, 8, 8).contiguous()
    for seed in range(8):
        mixed = mix.mix(images.clone(), labels, torch.as_tensor(world.class_counts), world.generator(seed))
        ends = torch.stack([mixed.labels_a, mixed.labels_b]).float()
        pixels = mixed.images.flatten(1)
        low, high = ends.min(0)[0] - 1e-3, ends.max(0)[0] + 1e-3
        odd = ((pixels.min(1)[0] < low) | (pixels.max(1)[0] > high)).nonzero().flatten().tolist()
        if odd:
            of = f"{int(mixed.labels_a[odd[0]])} and {int(mixed.labels_b[odd[0]])}"
            seen = pixels[odd[0]].unique().tolist()[:4]
            raise failed(
                f"an image said to be of labels {of} shows label {' and '.join(f'{v:g}' for v in seen)}",
                "a blend of these two", "take images and labels_b by the same permutation",
            )  # fmt: skip


MIX = (a_blend_has_the_shape_of_its_batch, a_blend_is_of_its_two_labels)
