"""The probabilities of a cell from stored logits: posthoc, merge of branches, merge of views, merge of members."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ltbench.core.spec import Spec
from ltbench.errors import JobFailed
from ltbench.jobs.plugin_calls import merge_checked
from ltbench.jobs.posthoc import adjusted_branches, branch_weights, fitted_states, merged_branches, weighs_branches
from ltbench.jobs.prediction_file import StoredPrediction, image_count, read_prediction
from ltbench.stages import Ensemble, Posthoc, View

if TYPE_CHECKING:
    from ltbench.executor import Techniques
    from ltbench.stages import FloatArray, IntArray

TOGETHER = 1 << 25
"""Probabilities that are computed at once: 0.25 GB. Of 100 classes and 10,000 images there are a million."""


class Member(NamedTuple):
    """One network of a cell."""

    counts: IntArray
    """int64 [C], of its training images"""
    predictions: Mapping[str, Sequence[str]]
    """The keys of its predictions by split, in the order of the views."""
    branches: Spec | None = None
    """The spec of its branches, if it has any."""
    classes: tuple[str, ...] = ()
    """The names of the classes."""


class Labelled(NamedTuple):
    """Labels int64 [N] and probabilities float64 [N, C] of a cell for the images of a split."""

    labels: IntArray
    probabilities: FloatArray


def predictions(
    registry: Techniques, spec: Spec, members: Iterable[Member], read: Callable[[str], bytes], splits: Sequence[str]
) -> dict[str, Labelled]:
    """Return the probabilities of a cell for each of these splits, from stored logits.

    spec: of the cell; read: returns the safetensors file of a prediction, by its key.
    Raises `JobFailed` if a file or the result of a plugin has a wrong shape or range.
    """
    techniques = _Techniques(
        registry,
        None if spec["posthoc"] is None else registry.build_as(spec["posthoc"], Posthoc),
        registry.build_as(spec["view"], View),
        registry.build_as(spec["ensemble"], Ensemble),
    )
    read = lru_cache(maxsize=1)(read)  # parts of one file are asked for one after another
    networks = [_Network(member, _states(techniques, member, read)) for member in members]
    return {split: _of_split(techniques, networks, read, split) for split in splits}


class _Techniques(NamedTuple):
    registry: Techniques
    posthoc: Posthoc | None
    view: View
    ensemble: Ensemble


class _Network(NamedTuple):
    member: Member
    states: Sequence[list[Any] | None]
    """What the posthoc is fitted to for each branch, by view; None if it needs no evidence."""


def _states(techniques: _Techniques, member: Member, read: Callable[[str], bytes]) -> list[list[Any] | None]:
    registry, posthoc = techniques.registry, techniques.posthoc
    views = len(next(iter(member.predictions.values())))
    used = () if posthoc is None else [split for split in member.predictions if split in posthoc.uses()]
    if not used:
        return [None] * views
    return [
        fitted_states(
            registry,
            posthoc,
            {split: _stored(member, member.predictions[split][view], read) for split in used},
            member.counts,
            member.classes,
        )
        for view in range(views)
    ]


def _of_split(
    techniques: _Techniques, networks: Sequence[_Network], read: Callable[[str], bytes], split: str
) -> Labelled:
    """Return the probabilities of all images of a split: at once, or of thousands of classes in parts.

    A table of 8,142 classes and 24,426 images has 1.6 GB, and there is one for each member, view and step.
    """
    first = networks[0].member
    images, classes = image_count(read(first.predictions[split][0])), len(first.counts)
    # Weights of branches are computed from all images.
    whole = images * classes <= TOGETHER or any(
        one.member.branches is not None and weighs_branches(techniques.posthoc) for one in networks
    )
    if whole:
        return _of_rows(techniques, networks, read, split, slice(None))
    step = max(1, TOGETHER // classes)
    labels, probabilities = np.empty(images, dtype=np.int64), np.empty((images, classes))
    for start in range(0, images, step):
        rows = slice(start, start + step)
        labels[rows], probabilities[rows] = _of_rows(techniques, networks, read, split, rows)
    return Labelled(labels, probabilities)


def _of_rows(
    techniques: _Techniques, networks: Sequence[_Network], read: Callable[[str], bytes], split: str, rows: slice
) -> Labelled:
    registry, posthoc, view, ensemble = techniques
    labels: IntArray | None = None
    merged_views: list[FloatArray] = []
    for member, states in networks:
        branches: list[FloatArray] = []
        for key, state in zip(member.predictions[split], states, strict=True):
            stored = _stored(member, key, read, rows)
            labels = stored.labels if labels is None else labels
            if not np.array_equal(labels, stored.labels):
                raise JobFailed("two predictions of a cell have different images", where=f"artefact {key}")
            fitted = [None] * len(stored.classifiers) if state is None else state
            branches.append(
                np.stack(adjusted_branches(registry, posthoc, fitted, stored, member.counts, member.classes))
            )
        # Branches merge first, so that a view sees one network; then views, so that a member predicts as it would alone.
        adjusted = np.stack(branches)
        weights = None if member.branches is None else branch_weights(registry, posthoc, adjusted)
        logits = merged_branches(registry, member.branches, weights, adjusted)
        merged_views.append(merge_checked(registry, view, view.merge, logits))
    assert labels is not None, "a cell has a member"
    return Labelled(labels, merge_checked(registry, ensemble, ensemble.merge, np.stack(merged_views)))


def _stored(member: Member, key: str, read: Callable[[str], bytes], rows: slice = slice(None)) -> StoredPrediction:
    return read_prediction(read(key), key, len(member.counts), branched=member.branches is not None, rows=rows)
