"""Which predictions a cell needs: those that it merges, and those that its posthoc is fitted to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

from ltbench.core.spec import prediction_keys, splits_of
from ltbench.executor import Techniques
from ltbench.stages import Posthoc


class Needed(NamedTuple):
    """The predictions of a cell."""

    splits: tuple[str, ...]
    """Of each member under each view: `test`, and `held_out` and `train` where they are needed."""
    features: bool
    """Whether they contain features."""

    @classmethod
    def of(cls, posthoc: Posthoc | None, splits: Sequence[str]) -> Self:
        """Return what a cell with this posthoc and metrics on these splits needs."""
        used: frozenset[str] = frozenset() if posthoc is None else posthoc.uses()
        return cls((*splits, *(["train"] if "train" in used else [])), "features" in used)

    @classmethod
    def by_cell(cls, spec: Mapping[str, Any], data: Mapping[str, Any], registry: Techniques) -> Self:
        """Return what a cell of this spec needs on these data."""
        posthoc = None if spec["posthoc"] is None else registry.build_as(spec["posthoc"], Posthoc)
        return cls.of(posthoc, splits_of(spec, data))

    def keys(self, cell: Mapping[str, Any], views: Sequence[str]) -> list[dict[str, list[str]]]:
        """Return, for each member of a cell, the keys of its predictions by split, in the order of the views."""
        by_split = {split: prediction_keys(cell, views, split, features=self.features) for split in self.splits}
        return [{split: keys[number] for split, keys in by_split.items()} for number in range(len(cell["members"]))]


def why_without_held_out(posthoc: Posthoc) -> str:
    """Return why a posthoc cannot run in a suite that holds nothing out; empty if it can."""
    if "held_out" not in posthoc.uses():
        return ""
    return f"{posthoc.label} is fitted to held-out images, and none are held out: use --held-out 0.1, or held_out in the suite"


def notes(posthoc: Posthoc | None) -> list[str]:
    """Return notes for the rows of a posthoc on the images that it has seen."""
    if posthoc is None:
        return []
    seen = []
    if "held_out" in posthoc.uses():
        seen.append(f"{posthoc.label}: fitted to the held-out images, so its metrics on them are too good")
    if posthoc.transductive:
        seen.append(f"{posthoc.label}: transductive, as it looks at all test images (without labels)")
    return seen
