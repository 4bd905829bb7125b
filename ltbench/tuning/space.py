"""What a row is tuned over: fields of the recipe, and the parameters of its techniques that are worth it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from ltbench.errors import UsageError
from ltbench.planning.combinations import Combination
from ltbench.stages import Technique
from ltbench.suite.recipe import Recipe
from ltbench.suite.tuning import FACTOR, Tuning
from ltbench.technique import written
from ltbench.tune import Tune, is_whole, tuned_parameters

Value = float | str | bool
_LAST = math.nextafter(1.0, 0.0)
"""The last place of a range."""


class Dimension(NamedTuple):
    """One hyper-parameter of a row."""

    name: str
    """`lr`, or technique and parameter: `focal.gamma`."""
    tune: Tune
    whole: bool
    technique: Technique | None
    """Of which it is a parameter; None for a field of the recipe."""
    field: str

    def at(self, place: float) -> Value:
        """Return the value at a place in [0, 1]."""
        return self.tune.at(place, whole=self.whole)


class Point(NamedTuple):
    """What a trial trains."""

    combination: Combination
    recipe: Recipe
    values: dict[str, Value]
    """The value of each hyper-parameter that was proposed; empty for the defaults."""


class Space:
    """The hyper-parameters of a row: those of the recipe first, so that they are the same for all rows."""

    def __init__(self, row: Combination, recipe: Recipe, tuning: Tuning) -> None:
        self.row, self.recipe = row, recipe
        self.dimensions = [*_of_recipe(recipe, tuning), *_of_techniques(row)]

    @property
    def default(self) -> Point:
        """The row and the recipe of the suite, as they are."""
        return Point(self.row, self.recipe, {})

    def point(self, places: Sequence[float]) -> Point | None:
        """Return what a trial at these places in [0, 1] trains; None if a technique does not accept the values together."""
        try:
            return self.with_values(
                {one.name: one.at(place) for one, place in zip(self.dimensions, places, strict=True)}
            )
        except UsageError:
            return None

    def with_values(self, values: Mapping[str, Value]) -> Point:
        """Return what a trial with these values trains; the others are the defaults.

        Raises `ParameterError` if a technique does not accept them.
        """
        fields = {
            one.field: values[one.name] for one in self.dimensions if one.technique is None and one.name in values
        }
        techniques = tuple(self._changed(technique, values) for technique in self.row.techniques)
        return Point(Combination(techniques), msgspec.structs.replace(self.recipe, **fields), dict(values))

    def _changed(self, technique: Technique, values: Mapping[str, Value]) -> Technique:
        changes: dict[str, Any] = {
            one.field: values[one.name] for one in self.dimensions if one.technique is technique and one.name in values
        }
        return msgspec.structs.replace(technique, **changes) if changes else technique

    @property
    def notes(self) -> list[str]:
        """What the declared ranges of its techniques do not allow."""
        found = [
            f"{technique.qualified or technique.name}.{field} is not tuned, as {written(getattr(technique, field))} is not in {tune}"
            for technique in self.row.techniques
            for field, tune in tuned_parameters(type(technique)).items()
            if not tune.contains(getattr(technique, field))
        ]
        for one in self.dimensions:
            for value in dict.fromkeys(map(one.at, (0.0, _LAST))):
                try:
                    self.with_values({one.name: value})
                except UsageError:
                    found.append(f"{one.name} is tuned over a part of {one.tune}, as {written(value)} is refused")
        return found


def _of_recipe(recipe: Recipe, tuning: Tuning) -> list[Dimension]:
    ranges = tuning.recipe
    if ranges is None:
        # No factor turns a weight decay of zero into another one.
        defaults = {field: getattr(recipe, field) for field in ("lr", "weight_decay") if getattr(recipe, field)}
        ranges = {field: (value / FACTOR, value * FACTOR) for field, value in defaults.items()}  # type: ignore[misc]
    return [Dimension(field, Tune(*ranges[field], log=True), False, None, field) for field in sorted(ranges)]


def _of_techniques(row: Combination) -> list[Dimension]:
    return [
        Dimension(
            f"{technique.qualified or technique.name}.{field}", tune, is_whole(type(technique), field), technique, field
        )
        for technique in row.techniques
        for field, tune in tuned_parameters(type(technique)).items()
        # A value that the suite sets outside the range, such as tau = "held_out", stays as it is.
        if tune.contains(getattr(technique, field))
    ]
