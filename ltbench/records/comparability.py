"""Which records may be compared: those whose trainings differ in nothing but what a leaderboard varies.

The key of a board is what is left of the identity of a cell without `MAY_DIFFER`, so a new part of identity is in the
key until somebody lists it there with a reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from ltbench.core.spec import Spec, canonical
from ltbench.stages import TECHNIQUE_STAGES, TRAINING_STAGES

BoardKey = tuple[str, str, str, str, bytes, bytes]
"""Protocol, labels of data set, profile and model, recipe, and all else that is fixed (`fixed_part`)."""

MAY_DIFFER: Final[Mapping[str, str]] = {
    "fit.kind": "the same for every fit",
    "fit.protocol": "in the key by itself",
    "fit.recipe": "in the key by itself",
    "fit.data.imbalance_factor": "a board has a table for each imbalance factor",
    "fit.data.subset_seed": "rows are compared within a pair of seeds",
    "fit.seed": "rows are compared within a pair of seeds",
    "fit.bag": "belongs to the ensemble, which is a technique of the row",
    "fit.segments": "the techniques of the row, and what its regime does with them",
    "fit.model": "its label is in the key by itself, as members of an ensemble may have other models; its revision is "
    "compared by component",
    "cell.kind": "the same for every cell",
    "cell.protocol": "in the key by itself",
    "cell.members": "the fits themselves",
    "cell.view": "a technique of the row",
    "cell.posthoc": "a technique of the row",
    "cell.ensemble": "a technique of the row",
}
"""Parts of the identity of a cell that comparable cells may differ in, each with the reason."""

Component = tuple[str, str]
"""Stage and name of a technique."""
Version = tuple[int, str]
"""Revision and distribution of a technique."""


def fixed_part(spec: Spec, fits: Sequence[Spec]) -> Spec:
    """Return what all comparable cells have in common, besides protocol, labels and recipe: data set, fingerprint, profile.

    spec, fits: of a cell and its fits. Members of an ensemble that differ in it have a list of their values.
    """
    parts = [_without(fit, "fit") for fit in fits]
    first = parts[0] if parts else {}
    common = first if all(part == first for part in parts) else {"members": parts}
    return {**common, **_without(spec, "cell")}


def _without(spec: Mapping[str, Any], prefix: str) -> Spec:
    """Return the spec without what may differ."""
    result: Spec = {}
    for key, value in spec.items():
        place = f"{prefix}.{key}"
        if place in MAY_DIFFER:
            continue
        parts = any(other.startswith(f"{place}.") for other in MAY_DIFFER)
        result[key] = _without(value, place) if parts else value
    return result


def board_key(
    protocol: str, labels: tuple[str, str, str], recipe: Spec, spec: Spec, fits: Sequence[Spec]
) -> BoardKey:  # fmt: skip
    """Return the key of a cell's board. labels: of data set, profile and model."""
    return (protocol, *labels, canonical(recipe), canonical(fixed_part(spec, fits)))


def components(spec: Spec, fits: Iterable[Spec]) -> Iterator[tuple[Component, Version]]:
    """Yield stage, name and version of each technique of a cell that a row may vary, baselines and model included.

    Two records that use one technique in two versions are not comparable, whichever row it belongs to: a new revision
    of the plain loss concerns every row that trains with it.
    """
    for stage in TECHNIQUE_STAGES:
        yield from _component(stage, spec.get(stage))
    for fit in fits:
        yield from _component("model", fit.get("model"))
        yield from _component("ensemble", (fit.get("bag") or {}).get("ensemble"))
        for segment in fit.get("segments", ()):
            for stage in TRAINING_STAGES:
                yield from _component(stage, segment.get(stage))


def _component(stage: str, technique: Mapping[str, Any] | None) -> Iterator[tuple[Component, Version]]:
    if technique:
        yield (stage, technique["name"]), (technique["revision"], technique["distribution"])
