"""Trainings on stored features: which ones there are, their jobs; and which trainings run together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ltbench.core.spec import Job, Spec, features_of_predict, features_specs, identity
from ltbench.planning.compute_cost import has_fixed_images
from ltbench.stages import Finetune, Model

_IMAGE_SEGMENT = frozenset({"augment_first", "partner"})
"""Keys of a segment that a stack of networks can train besides."""
_OWN_NETWORK = frozenset({"branches", "stream", "teacher"})
_PLAIN_SEGMENT = frozenset({"until", "trainable", "restart", "lr_scale", "sampler", "augment", "mix", "loss", "weight"})
"""Keys of a segment that a stack of classifiers can train."""


def trains_on_features(fit: Mapping[str, Any], segments: Sequence[Spec], model: Model, finetune: object) -> bool:
    """Whether a training only needs the features of images, which then are computed once for all trainings.

    The backbone neither learns nor depends on the seed, and gets the same images in every epoch. fit: its spec without
    segments.
    """
    return (
        model.is_pretrained
        and not fit.keys() & _OWN_NETWORK
        and all(map(has_fixed_images, segments))
        and type(model).groups is Model.groups
        and type(model).initialise is Model.initialise
        and (not isinstance(finetune, Finetune) or type(finetune).adapt is Finetune.adapt)
    )


def feature_jobs(fit: Mapping[str, Any], predict: Mapping[str, Any] | None = None) -> list[Job]:
    """Return the jobs that compute the features for a training, or for one of its predictions; none if it needs images."""
    if predict is not None:
        specs = features_of_predict(fit, predict)
    else:
        specs = features_specs(fit, "train") if "features" in fit else []
    return [Job(key=identity(spec), kind="features", spec=spec) for spec in specs]


def goes_on_from_halves(cell: Job) -> bool:
    """Whether the trainings of a cell resume from earlier states of themselves, so that a first half is not lost work."""
    return not any("features" in fit for fit in cell.extra["fits"])


def stack_name(fit: Spec) -> str:
    """Return the name of the stack of classifiers in which a fit is trained; empty if it needs a training of its own.

    Fits of a stack see the same batches at the same learning rates, and differ in loss, class weights and head.
    """
    segments = fit["segments"]
    plain = all(
        segment.keys() <= _PLAIN_SEGMENT and not segment["restart"] and segment["lr_scale"] == 1 for segment in segments
    )
    if "features" not in fit or "ema" in fit["recipe"] or not plain:
        return ""
    samplers: list[tuple[float, Spec]] = []
    for segment in segments:
        if samplers and samplers[-1][1] == segment["sampler"]:
            samplers.pop()
        samplers.append((segment["until"], segment["sampler"]))
    common = {key: value for key, value in fit.items() if key not in {"segments", "head", "finetune"}}
    return identity(common | {"samplers": samplers})


def network_stack_name(fit: Spec) -> str:
    """Return the name of the stack of networks in which a GPU can train a fit of images; empty if it trains by itself.

    Fits of a stack have one model, recipe and number of images, and phases of the same length. Whether they have as many
    steps, as their samplers decide, shows when they train.
    """
    segments = fit["segments"]
    plain = all(segment.keys() <= _PLAIN_SEGMENT | _IMAGE_SEGMENT and not segment["restart"] for segment in segments)
    if "features" in fit or fit.keys() & _OWN_NETWORK or "ema" in fit["recipe"] or not plain:
        return ""
    common = {key: value for key, value in fit.items() if key not in {"segments", "seed", "data"}}
    data = {key: value for key, value in fit["data"].items() if key != "subset_seed"}
    phases = [[segment[key] for key in ("until", "trainable", "lr_scale")] for segment in segments]
    return identity(common | {"data": data, "phases": phases})
