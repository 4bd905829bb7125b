"""Which records may be compared: those that differ only in what a leaderboard varies.

The key of a board is the identity of a cell without the parts in `MAY_DIFFER`. So a new part of the identity belongs to
the key unless it is listed there with a reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from ltbench.core.spec import Spec, canonical
from ltbench.stages import NETWORK_STAGES, TECHNIQUE_STAGES, TRAINING_STAGES

BoardKey = tuple[str, str, str, str, bytes, bytes]
"""Protocol, labels of data set, profile and model, recipe, and the rest (`fixed_part`)."""

MAY_DIFFER: Final[Mapping[str, str]] = {
    "fit.kind": "the same for every fit",
    "fit.protocol": "in the key separately",
    "fit.recipe": "in the key separately",
    "fit.data.imbalance_factor": "a board has a table for each imbalance factor",
    "fit.data.subset_seed": "rows are compared within a pair of seeds",
    "fit.seed": "rows are compared within a pair of seeds",
    "fit.bag": "part of the ensemble, which is a technique of the row",
    "fit.segments": "the techniques of the row, as its regime uses them",
    "fit.model": "its label is in the key separately, because members of an ensemble may have other models; revisions "
    "are compared by component",
    "fit.finetune": "a technique of the row",
    "fit.head": "a technique of the row",
    "fit.branches": "a technique of the row",
    "fit.stream": "part of the branches, which are a technique of the row",
    "fit.teacher": "part of an auxiliary or a regime, which are techniques of the row",
    "cell.kind": "the same for every cell",
    "cell.protocol": "in the key separately",
    "cell.members": "the fits themselves",
    "cell.view": "a technique of the row",
    "cell.posthoc": "a technique of the row",
    "cell.ensemble": "a technique of the row",
}
"""Parts of the identity in which comparable cells may differ, with reasons."""

TUNED: Final = "tuned"
"""What stands in the place of a stage where a page shows a row with tuned hyper-parameters; no record has it."""
ROW_STAGES: Final = (*TECHNIQUE_STAGES, TUNED)
"""What the rows of a page differ in, in order."""
Component = tuple[str, str]
"""Stage and name of a technique."""
Version = tuple[int, str]
"""Revision and distribution of a technique."""


def fixed_part(spec: Spec, fits: Sequence[Spec]) -> Spec:
    """Return what comparable cells share besides protocol, labels and recipe: data set, fingerprint, profile.

    spec, fits: of a cell and its fits. If members of an ensemble differ, the value is a list.
    """
    parts = [_without(fit, "fit") for fit in fits]
    first = parts[0] if parts else {}
    common = first if all(part == first for part in parts) else {"members": parts}
    return {**common, **_without(spec, "cell")}


def _without(spec: Mapping[str, Any], prefix: str) -> Spec:
    """Return the spec without the parts that may differ."""
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
    """Yield stage, name and version of each technique that a row may vary, including baselines and model.

    Records that use a technique in different versions are not comparable, whichever row it belongs to: a new revision
    of the plain loss affects every row that trains with it.
    """
    for stage in TECHNIQUE_STAGES:
        yield from _component(stage, spec.get(stage))
    for fit in _with_teachers(fits):
        yield from _component("model", fit.get("model"))
        yield from _component("ensemble", (fit.get("bag") or {}).get("ensemble"))
        yield from _component("sampler", fit.get("stream"))
        for stage in NETWORK_STAGES:
            yield from _component(stage, fit.get(stage))
        for segment in fit.get("segments", ()):
            for stage in TRAINING_STAGES:
                yield from _component(stage, segment.get(stage))
            yield from _component("sampler", segment.get("partner"))
            for augment in (segment.get("augment_first"), *segment.get("views", ())):
                yield from _component("augment", augment)


def _with_teachers(fits: Iterable[Spec]) -> Iterator[Spec]:
    for fit in fits:
        yield fit
        if "teacher" in fit:
            yield from _with_teachers([fit["teacher"]])


def _component(stage: str, technique: Mapping[str, Any] | None) -> Iterator[tuple[Component, Version]]:
    if technique:
        yield (stage, technique["name"]), (technique["revision"], technique["distribution"])
