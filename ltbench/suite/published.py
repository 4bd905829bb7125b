"""Published numbers and claims of a report, which a suite shows on its leaderboard."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import msgspec
from msgspec import Meta

from ltbench.columns import TOP1
from ltbench.errors import LtbenchError, SuiteError, did_you_mean
from ltbench.stages import STAGES
from ltbench.suite.method_rows import without_methods
from ltbench.suite.recipe import Recipe

if TYPE_CHECKING:
    from ltbench.executor import Techniques

Combination = tuple[str, ...]
"""Techniques as on a command line, at most one per stage; empty for the baseline."""
Fraction = Annotated[float, Meta(ge=-1, le=1)]
FIGURES = ("head_to_tail", "bars", "cost", "effects", "interactions", "spread", "confusion", "before_after", "scores", "curves", "histogram", "resampling", "bags", "critical_difference")  # fmt: skip
"""Figures of a page. `resampling` and `bags` take a threshold: `resampling[threshold=300]`."""
_NAMING = ("dataset", "profile", "model")
_COMBINATIONS = ("techniques", "better", "worse")
ALL = "all"
"""Instead of a combination: all others."""
WITH_THRESHOLD = ("resampling", "bags")
_FIGURE = re.compile(r"(?P<name>[a-z_]+)(\[threshold=(?P<threshold>[1-9]\d*)\])?\Z")


class SettingFilter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings that a published number or claim applies to; omitted fields match all settings of the suite."""

    dataset: str | None = None
    """One of the suite's data sets; all of them by default."""
    profile: str | None = None
    """One of its profiles."""
    model: str | None = None
    """One of its models."""
    recipe: dict[str, Any] = {}
    """Fields of the recipe with their values, if the suite has several recipes."""

    def __post_init__(self) -> None:
        for key in self.recipe:
            if key not in Recipe.__struct_fields__:
                known = Recipe.__struct_fields__
                fix = did_you_mean(key, known, f"its fields: {', '.join(known)}")
                raise SuiteError(f"the recipe has no field '{key}'", fix=fix)

    def with_recorded_labels(self, registry: Techniques) -> Self:
        """Return a copy with techniques labelled as in records."""
        changes: dict[str, object] = {
            field: _label(text, registry) for field in _NAMING if (text := getattr(self, field, None)) is not None
        }
        changes |= {
            field: as_recorded(techniques, registry)
            for field in _COMBINATIONS
            if not isinstance(techniques := getattr(self, field, ALL), str)
        }
        return msgspec.structs.replace(self, **changes)


class Reported(SettingFilter, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A published number: a score of one combination at one imbalance factor, or its per-class accuracy."""

    source: str
    """Place in the report: "Table 1", "Fig. 14"."""
    techniques: Combination = ()
    """The combination, techniques as on a command line; empty for the baseline."""
    imbalance_factor: Annotated[float, Meta(ge=1)]
    """The imbalance factor."""
    metric: str = TOP1
    """The metric: `top1`, `macro_f1`, `sd_classes`, `tail_third`."""
    value: float | None = None
    """A fraction: 0.8422 for 84.22 %. Optional if `per_class` is given, whose mean is then used."""
    per_class: tuple[Annotated[float, Meta(ge=0, le=1)], ...] = ()
    """Accuracy of each class, in label order."""
    note: str = ""
    """A remark for the reader, such as that the number was read off a plot."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_once(self.techniques, self.source)
        if self.value is None and not self.per_class:
            raise SuiteError(f"a reported number of {self.source} has neither value nor per_class", fix="give one")
        if self.value is not None and not 0 <= self.value <= 1:
            raise SuiteError(
                f"reported value {self.value} of {self.source} is not a fraction",
                fix=f"write a percentage of {self.value} as {self.value / 100:g}",
            )
        if self.per_class and self.metric != TOP1:
            raise SuiteError(f"per_class of {self.source} is accuracy, but metric is '{self.metric}'", fix=TOP1)

    @property
    def number(self) -> float:
        """The published score, or the mean over classes if the report only has per-class numbers."""
        return math.fsum(self.per_class) / len(self.per_class) if self.value is None else self.value


class Claim(SettingFilter, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A conclusion of the report: one combination scores higher or lower than another, or the same.

    Its direction is tested and, if the report gives one, its size: `difference`, `at_least`, or the difference of two
    numbers in the suite's `reported`.
    """

    text: str
    """The conclusion in words."""
    better: Combination
    """The combination that is said to be better."""
    worse: Combination | Literal["all"] = ()
    """The other combination, empty for the baseline; "all" if `better` is said to be the best of all."""
    imbalance_factors: Annotated[tuple[float, ...], Meta(min_length=1)] | Literal["all"] = "all"
    """The imbalance factors at which it is tested, each separately."""
    metric: str = TOP1
    """The metric by which it is tested."""
    sign: Literal["+", "-", "="] = "+"
    """Sign of the score of `better` minus that of `worse`: "-" if low scores are good, "=" for no difference."""
    at_least: Annotated[float, Meta(ge=0, le=1)] = 0.0
    """Minimum difference according to the report, as a fraction."""
    within: Annotated[float, Meta(gt=0, le=1)] | None = None
    """For "=": the largest difference that counts as none, as a fraction."""
    difference: Fraction | None = None
    """The published difference with its sign, if the report does not give both numbers."""
    pooled: bool = False
    """Test the mean over the imbalance factors instead of each factor separately."""
    needs_epochs: bool = False
    """Whether it depends on the number of epochs, so that it is not tested if the recipe counts steps."""
    note: str = ""
    """A remark for the reader."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for combination in (self.better, self.worse):
            if not isinstance(combination, str):
                _check_once(combination, f"claim '{self.text}'")
        if self.worse != ALL and set(self.better) == set(self.worse):
            raise SuiteError(f"claim '{self.text}' compares a combination with itself")
        if (self.sign == "=") != (self.within is not None):
            raise SuiteError(
                f"claim '{self.text}' has sign '{self.sign}' and within {'missing' if self.within is None else 'set'}",
                fix='set `within`, the difference that counts as none, if and only if sign = "="',
            )
        if self.at_least and self.sign == "=":
            raise SuiteError(f"claim '{self.text}' has at_least, but claims no difference", fix="use within")
        if self.worse == ALL and self.sign == "=":
            raise SuiteError(
                f"claim '{self.text}' says that there is no difference to all others", fix="name one of them as `worse`"
            )
        sizes = [name for name in ("at_least", "difference") if getattr(self, name)]
        if len(sizes) > 1:
            raise SuiteError(
                f"claim '{self.text}' has both at_least and difference", fix="give the one that the report states"
            )
        if self.worse == ALL and sizes:
            raise SuiteError(
                f"claim '{self.text}' has {sizes[0]}, but compares with all others",
                fix="write a separate claim with one combination as `worse`",
            )
        if self.difference and self.sign != "=" and (self.difference < 0) != (self.sign == "-"):
            raise SuiteError(
                f"claim '{self.text}' has sign '{self.sign}' but difference {self.difference:g}",
                fix="difference is better minus worse: give both the same sign",
            )


def as_recorded(techniques: Combination, registry: Techniques) -> Combination:
    """Return a combination as in records: without default parameters and without baselines.

    A technique that is not installed stays as written; it has no record, which the page says.
    """
    baselines = {baseline.label for stage in STAGES if (baseline := registry.baseline(stage)) is not None}
    texts = list(techniques)
    # A method with a part that is not installed stays as written.
    with contextlib.suppress(LtbenchError):
        texts = without_methods(techniques, registry)
    labels = (_label(text, registry) for text in texts)
    return tuple(label for label in labels if label not in baselines)


def _label(text: str, registry: Techniques) -> str:
    # A report may name techniques that no plugin provides; its numbers are shown anyway.
    try:
        return registry.parse(text).label
    except LtbenchError:
        return text


def check_figures(figures: Iterable[str]) -> None:
    """Raise `SuiteError` if a figure is unknown, repeated, or has an unexpected threshold."""
    names = set()
    for figure in figures:
        name, threshold = parse_figure(figure)
        if (threshold is not None) != (name in WITH_THRESHOLD):
            fix = f"{name}[threshold=300]" if threshold is None else name
            raise SuiteError(f"figure '{figure}' {'needs a' if threshold is None else 'takes no'} threshold", fix=fix)
        if name in names:
            raise SuiteError(f"figure '{name}' is named twice", fix="name it once")
        names.add(name)


def parse_figure(figure: str) -> tuple[str, int | None]:
    """Return name and threshold of a figure as a suite writes it: `bags[threshold=120]`."""
    match = _FIGURE.match(figure)
    name = figure.partition("[")[0] if match is None else match["name"]
    if match is None or name not in FIGURES:
        known = f"known figures: {', '.join(FIGURES)}"
        fix = known if name in FIGURES else did_you_mean(name, FIGURES, known)
        raise SuiteError(f"unknown figure '{figure}'", fix=fix)
    return name, None if match["threshold"] is None else int(match["threshold"])


def _check_once(combination: Combination, where: str) -> None:
    if len(set(combination)) != len(combination):
        raise SuiteError(f"{where} names a technique twice", fix="name it once")
