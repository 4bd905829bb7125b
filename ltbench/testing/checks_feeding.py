"""Checks of samplers, augmentations and mixes."""

from __future__ import annotations

from ltbench.testing.check import per_setting
from ltbench.testing.finding import Skip
from ltbench.testing.inputs import BATCH, Inputs, with_rare
from ltbench.testing.stage_calls import BATCH_SIZE, pool_of
from ltbench.testing.subject import Subject, failed

LEVEL = 1e-4
"""Significance level of the test of draws. Seeds are fixed, so that the result of a check is reproducible."""
DRAWS = 6000
"""Enough draws that a class with an expected share of 1 % is drawn dozens of times."""
RUNS = 8
"""Runs over which draws are counted, because a pool is drawn once per run and is correct only on average."""

# --- samplers ---------------------------------------------------------------------------------------------------


@per_setting
def indices_are_training_images(on: Subject) -> None:
    """Pool and epochs are int64 indices of training images, and an epoch visits only images of its pool.

    Also tested with a class with one image and a class without images.
    """
    import torch

    from ltbench.engine.output_checks import check_indices

    sampler = on.technique
    for inputs in (Inputs(), Inputs(counts=with_rare())):
        labels, counts, pool = pool_of(sampler, inputs)
        check_indices(sampler, "pool", pool, len(labels))
        epoch = sampler.epoch(pool, labels, counts, BATCH_SIZE, inputs.generator(1, on_cpu=True))
        check_indices(sampler, "an epoch", epoch, len(labels))
        outside = epoch[~torch.isin(epoch, pool)]
        if len(outside):
            raise failed(
                f"an epoch visits image {int(outside[0])}, which is not in the pool",
                "images of the pool",
                "return pool[...]",
            )


@per_setting
def epochs_have_equal_length(on: Subject) -> None:
    """Every epoch has as many images as the first.

    The number of steps of a training is fixed before it starts.
    """
    inputs = Inputs()
    labels, counts, pool = pool_of(on.technique, inputs)
    drawing = inputs.generator(1, on_cpu=True)
    lengths = [len(on.technique.epoch(pool, labels, counts, BATCH_SIZE, drawing)) for _ in range(6)]
    if len(set(lengths)) > 1:
        raise failed(f"epochs have {lengths} images", "equal lengths", "derive the length only from labels and counts")


@per_setting
def batch_size_is_valid(on: Subject) -> None:
    """`batch_size` returns an integer of at least 2, for few classes and for many.

    Batch normalisation is undefined for a single image.
    """
    for classes in (2, 10, 1000):
        size = on.technique.batch_size(BATCH_SIZE, classes)
        if not (isinstance(size, int) and size >= 2):
            raise failed(f"batch_size({BATCH_SIZE}, {classes}) is {size!r}", "an integer of at least 2", "max(2, ...)")


@per_setting
def draws_match_the_stated_shares(on: Subject) -> None:
    """Classes are drawn in the proportions that `share` states.

    Tested with a chi-squared test over several runs with fixed seeds.
    """
    import numpy as np
    from scipy.special import chdtrc

    inputs = Inputs(counts=[400, 130, 40, 12, 4])
    sampler = on.technique
    labels, counts, _ = pool_of(sampler, inputs)
    stated = sampler.share(counts)
    if stated is None:
        raise Skip("share returns None: implement `share` if the distribution is known exactly")
    shares = np.asarray(stated.tolist(), np.float64)
    if shares.shape != (inputs.classes,) or not (shares >= 0).all() or abs(shares.sum() - 1) > 1e-6:
        raise failed(
            f"share returned {shares.tolist()}", f"{inputs.classes} shares that sum to 1", "divide by their sum"
        )
    drawn = np.zeros(inputs.classes)
    for run in range(RUNS):
        pool = sampler.pool(labels, counts, inputs.generator(100 + run, on_cpu=True))
        drawing, visited = inputs.generator(200 + run, on_cpu=True), 0
        while visited < DRAWS / RUNS:
            epoch = sampler.epoch(pool, labels, counts, BATCH_SIZE, drawing)
            drawn += np.bincount(labels[epoch].numpy(), minlength=inputs.classes)
            visited += max(1, len(epoch))
    expected = shares * drawn.sum()
    possible = shares > 0
    p_value = 0.0
    if not drawn[~possible].any():
        distance = ((drawn - expected)[possible] ** 2 / expected[possible]).sum()
        p_value = float(chdtrc(max(1, int(possible.sum()) - 1), distance))
    if p_value < LEVEL:
        raise failed(
            f"with class counts {inputs.counts} it drew the shares {(drawn / drawn.sum()).round(3).tolist()}",
            f"{shares.round(3).tolist()} as `share` states (p = {p_value:.1g})",
            "fix the draws, or `share` and the docstring",
        )  # fmt: skip


SAMPLER = (indices_are_training_images, epochs_have_equal_length, batch_size_is_valid, draws_match_the_stated_shares)

# --- augmentations ----------------------------------------------------------------------------------------------


@per_setting
def images_keep_their_shape_and_range(on: Subject) -> None:
    """`apply` and `batch` return float32 images of unchanged shape with values in [0, 1], in grey and colour.

    The harness normalises the images afterwards, with mean and standard deviation of such pixels.
    """
    import torch

    from ltbench.engine.output_checks import check_tensor

    augment = on.technique
    inputs = Inputs()
    for channels in (1, 3):
        stored = torch.as_tensor(inputs.images(12, channels, 16))
        prepared = augment.prepare(stored.clone())
        for seed in range(2):
            changed = augment.apply(stored / 255, inputs.generator(seed))
            read = augment.batch(prepared, torch.arange(12), inputs.generator(seed))
            for what, images in (("apply", changed), ("batch", read)):
                check_tensor(augment, f"from {what} images", images, torch.float32, [12, channels, 16, 16])
                low, high = float(images.min()), float(images.max())
                if not (low >= 0 and high <= 1):
                    raise failed(
                        f"{what} returned values from {low:g} to {high:g}", "values in [0, 1]", "images.clamp(0, 1)"
                    )


@per_setting
def batch_equals_apply(on: Subject) -> None:
    """`prepare` and `batch` return the same images as `apply` with an equal generator.

    They are only a faster implementation of `apply`.
    """
    import torch

    inputs = Inputs()
    indices = torch.tensor([5, 1, 1, 11])
    for channels in (1, 3):
        stored = torch.as_tensor(inputs.images(12, channels, 16))
        fast = on.technique.batch(on.technique.prepare(stored.clone()), indices, inputs.generator(5))
        plain = on.technique.apply(stored[indices] / 255, inputs.generator(5))
        if fast.shape != plain.shape or not torch.allclose(fast.float(), plain.float(), rtol=0, atol=1e-5):
            raise failed(
                "batch and apply return different images", "equal images", "use the generator in the same order in both"
            )


@per_setting
def batch_does_not_share_memory(on: Subject) -> None:
    """Writing to a batch does not change the stored images.

    The harness normalises batches in place.
    """
    import torch

    augment = on.technique
    inputs = Inputs()
    stored = torch.as_tensor(inputs.images(4, 3, 16))
    prepared = augment.prepare(stored)
    copy, before = stored.clone(), augment.batch(prepared, torch.arange(4), inputs.generator(5)).clone()
    augment.batch(prepared, torch.arange(4), inputs.generator(5)).zero_()
    after = augment.batch(prepared, torch.arange(4), inputs.generator(5))
    if not (torch.equal(stored, copy) and torch.equal(before, after)):
        raise failed("a batch shares memory with the stored images", "separate memory", "images.clone()")


AUGMENT = (images_keep_their_shape_and_range, batch_equals_apply, batch_does_not_share_memory)

# --- mixes ------------------------------------------------------------------------------------------------------


@per_setting
def blend_has_the_shape_of_its_batch(on: Subject) -> None:
    """`mix` returns a `Mixed`: images of unchanged shape and dtype, two labels int64 [B], lambdas float [B].

    Labels are in range and lambdas in [0, 1]: the loss is `lam * loss(a) + (1 - lam) * loss(b)`.
    """
    import torch

    from ltbench.engine.output_checks import check_mixed

    inputs = Inputs()
    images = torch.as_tensor(inputs.rng(2).standard_normal((BATCH, 3, 8, 8)).astype("float32"))
    labels, counts = torch.as_tensor(inputs.batch_labels), torch.as_tensor(inputs.class_counts)
    for seed in range(8):
        check_mixed(
            on.technique, on.technique.mix(images, labels, counts, inputs.generator(seed)), images, inputs.classes
        )


@per_setting
def blend_matches_its_two_labels(on: Subject) -> None:
    """Each pixel of a blended image lies between pixels of images with the two returned labels.

    Tested with images whose pixels equal the label: other values show that labels and images do not correspond.
    """
    import torch

    inputs = Inputs()
    labels = torch.as_tensor(inputs.batch_labels)
    images = labels.float()[:, None, None, None].expand(-1, 3, 8, 8).contiguous()
    for seed in range(8):
        mixed = on.technique.mix(images.clone(), labels, torch.as_tensor(inputs.class_counts), inputs.generator(seed))
        ends = torch.stack([mixed.labels_a, mixed.labels_b]).float()
        pixels = mixed.images.flatten(1)
        low, high = ends.min(0)[0] - 1e-3, ends.max(0)[0] + 1e-3
        odd = ((pixels.min(1)[0] < low) | (pixels.max(1)[0] > high)).nonzero().flatten().tolist()
        if odd:
            of = f"{int(mixed.labels_a[odd[0]])} and {int(mixed.labels_b[odd[0]])}"
            values = pixels[odd[0]].unique().tolist()[:4]
            raise failed(
                f"an image with the labels {of} shows label {' and '.join(f'{v:g}' for v in values)}",
                "a blend of these two", "index images and labels_b with the same permutation",
            )  # fmt: skip


MIX = (blend_has_the_shape_of_its_batch, blend_matches_its_two_labels)
