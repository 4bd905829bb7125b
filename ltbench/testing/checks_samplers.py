"""Checks of samplers."""

from __future__ import annotations

from typing import Any

from ltbench.testing.check import per_setting
from ltbench.testing.feeding_calls import BATCH_SIZE, pool_of
from ltbench.testing.finding import Skip
from ltbench.testing.inputs import Inputs, with_rare
from ltbench.testing.subject import Subject, failed
from ltbench.testing.told import EPOCHS, moment_at

LEVEL = 1e-4
"""Significance level of the test of draws. Seeds are fixed, so that the result of a check is reproducible."""
DRAWS = 6000
"""Enough draws that a class with an expected share of 1 % is drawn dozens of times."""
RUNS = 8
"""Runs over which draws are counted, because a pool is drawn once per run and is correct only on average."""


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
        drawing = inputs.generator(1, on_cpu=True)
        epoch = torch.cat(
            [sampler.epoch_at(pool, labels, counts, BATCH_SIZE, moment_at(at), drawing) for at in (0, EPOCHS - 1)]
        )
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
    lengths = [
        len(on.technique.epoch_at(pool, labels, counts, BATCH_SIZE, moment_at(epoch), drawing))
        for epoch in range(EPOCHS)
    ]
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
            epoch = sampler.epoch_at(pool, labels, counts, BATCH_SIZE, moment_at(0), drawing)
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


@per_setting
def epochs_do_not_depend_on_earlier_ones(on: Subject) -> None:
    """An epoch depends only on the arguments, not on which epochs were drawn before it.

    A resumed training draws the next epoch without the earlier ones. The moment tells how many there were.
    """
    import torch

    inputs = Inputs()
    labels, counts, pool = pool_of(on.technique, inputs)

    def epoch_of(moment: int, seed: int) -> Any:
        drawing = inputs.generator(seed, on_cpu=True)
        return on.technique.epoch_at(pool, labels, counts, BATCH_SIZE, moment_at(moment), drawing)

    first = epoch_of(EPOCHS - 1, 1)
    for earlier in (1, 2, 3):  # so that a count differs by odd and by even numbers
        for epoch in range(earlier):
            epoch_of(epoch, 2)
        if not torch.equal(first, epoch_of(EPOCHS - 1, 1)):
            raise failed(
                "an epoch with equal arguments and generator differs after other epochs", "equal epochs",
                "keep no count of epochs: override epoch_at and use moment.epoch or moment.progress",
            )  # fmt: skip


SAMPLER = (
    indices_are_training_images, epochs_have_equal_length, batch_size_is_valid, draws_match_the_stated_shares,
    epochs_do_not_depend_on_earlier_ones,
)  # fmt: skip
