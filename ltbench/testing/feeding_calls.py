"""Calls every method of data sets, profiles, samplers, augmentations and mixes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ltbench.core.checksums import digest
from ltbench.core.folders import data_root
from ltbench.errors import DataError, UsageError
from ltbench.stages import Augment, Dataset, DatasetInfo, Mix, Profile, Sampler
from ltbench.testing.finding import Skip
from ltbench.testing.inputs import BATCH, Inputs
from ltbench.testing.told import EPOCHS, is_told, moment_at, states, told

Result = dict[str, Any]
BATCH_SIZE = 64
"""Batch size of the recipe."""


def dataset(technique: Dataset, _inputs: Inputs) -> Result:
    import numpy as np

    info, images = load(technique, data_root())
    given = {field: getattr(images, field) for field in images.__struct_fields__}
    parts = {field: np.ascontiguousarray(part) for field, part in given.items() if part is not None}
    # Digests: results are cached and sent between processes, and a data set may have many images.
    return {"info": info, **{field: digest(part.tobytes()) for field, part in parts.items()}}


def load(technique: Dataset, root: Path) -> tuple[DatasetInfo, Any]:
    """Return the description and the images of a data set; raise `Skip` if its files are missing."""
    try:
        technique.locate(root)
    except DataError as error:
        raise Skip(f"its files are missing: {error.what}") from None
    return technique.info(root), technique.load(root)


def profile(technique: Profile, inputs: Inputs) -> Result:
    counts: Result = {}
    for factor in (1.0, 10.0, 100.0):
        available = inputs.track("available", [600] * inputs.classes)
        try:
            counts[f"counts at factor {factor:g}"] = technique.counts(available, factor)
        except UsageError as error:
            counts[f"counts at factor {factor:g}"] = error.what
    return counts


def pool_of(technique: Sampler, inputs: Inputs) -> tuple[Any, Any, Any]:
    """Return labels, class counts and the pool that a sampler draws from them."""
    labels = inputs.tensor("labels", inputs.labels, on_cpu=True)
    counts = inputs.tensor("counts", inputs.class_counts, on_cpu=True)
    return labels, counts, technique.pool(labels, counts, inputs.generator(0, on_cpu=True))


def sampler(technique: Sampler, inputs: Inputs) -> Result:
    labels, counts, pool = pool_of(technique, inputs)
    inputs.track("pool", pool)
    drawing = inputs.generator(1, on_cpu=True)
    moments = [moment_at(0), moment_at(EPOCHS - 1)]
    epochs = [technique.epoch_at(pool, labels, counts, BATCH_SIZE, at, drawing).clone() for at in moments]
    size = technique.batch_size(BATCH_SIZE, inputs.classes)
    return {"pool": pool, "batch_size": size, "epochs": epochs, "share": technique.share(counts)}


def augment(technique: Augment, inputs: Inputs) -> Result:
    known = states(technique, inputs)
    results: Result = {"states": known}
    for channels in (3, 1):
        stored = inputs.tensor("stored images", inputs.images(12, channels, 2 * inputs.pixels))
        images = inputs.tensor("images", inputs.images(12, channels, 2 * inputs.pixels) / 255).float()
        inputs.track("images", images)
        if is_told(technique):
            results[f"apply to {channels} channels"] = [
                technique.apply_to(images, told(technique, inputs, len(images), at, state), inputs.generator(3)).clone()
                for at in (moment_at(0), moment_at(EPOCHS - 1))
                for state in known
            ]
            continue
        if type(technique).to_size is not Augment.to_size:
            results[f"{channels} channels to a size"] = technique.to_size(images, inputs.pixels, inputs.generator(3))
        results[f"apply to {channels} channels"] = technique.apply(images, inputs.generator(3)).clone()
        indices = inputs.tensor("indices", [5, 1, 1, 11])
        prepared = technique.prepare(stored)
        results[f"batch of {channels} channels"] = technique.batch(prepared, indices, inputs.generator(3))
    return results


def mix(technique: Mix, inputs: Inputs) -> Result:
    known = states(technique, inputs)
    results: Result = {"states": known, "partner": technique.partner, "where": technique.where}
    shapes = [(3, inputs.pixels, inputs.pixels), *([(5, 3, 3), (7,)] if technique.where == "hidden" else [])]
    # One that overrides `blend` may depend on the moment.
    epochs = range(EPOCHS) if type(technique).blend is not Mix.blend else range(1)
    for shape in shapes:
        images = inputs.tensor("images", inputs.rng(2).standard_normal((BATCH, *shape)).astype("float32"))
        results[f"mixed {len(shape)}"] = [
            technique.blend(images, told(technique, inputs, BATCH, moment_at(epoch), state), inputs.generator(3))
            for epoch in epochs
            for state in known
        ]
    return results
