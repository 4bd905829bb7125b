"""The published numbers and claims of a report, which a suite shows on its leaderboard."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import msgspec
from msgspec import Meta

from ltbench.columns import TOP1
from ltbench.errors import LtbenchError, SuiteError, did_you_mean
from ltbench.stages import STAGES
from ltbench.suite.recipe import Recipe

if TYPE_CHECKING:
    from ltbench.executor import Techniques

Combination = tuple[str, ...]
"""Techniques as they are written on a command line, at most one per stage; empty for the baseline."""
Fraction = Annotated[float, Meta(ge=-1, le=1)]
FIGURES = ("head_to_tail", "bars", "cost", "effects", "interactions", "spread", "confusion", "before_after", "scores", "curves", "histogram", "resampling", "bags", "critical_difference")  # fmt: skip
"""Figures of a page. `resampling` and `bags` take a threshold: `resampling[threshold=300]`."""
_NAMING = ("dataset", "profile", "model")
_COMBINATIONS = ("techniques", "better", "worse")
ALL = "all"
"""In place of a combination: every other one."""
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
    """Fields of the recipe with their values, where a suite has several recipes."""

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
    """A published number: a score of one combination at one imbalance factor, or its accuracy class by class."""

    source: str
    """Place in the report: "Table 1", "Fig. 14"."""
    techniques: Combination = ()
    """The combination, techniques as on a command line; empty for the baseline."""
    imbalance_factor: Annotated[float, Meta(ge=1)]
    """The imbalance factor of the number."""
    metric: str = TOP1
    """The score that the number is of: `top1`, `macro_f1`, `sd_classes`, `tail_third`."""
    value: float | None = None
    """A fraction: 0.8422 for 84.22 %. Optional where `per_class` is given, whose mean then counts."""
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
                f"reported value {self.value} of {self.source} is no fraction",
                fix=f"write a percentage of {self.value} as {self.value / 100:g}",
            )
        if self.per_class and self.metric != TOP1:
            raise SuiteError(f"per_class of {self.source} is accuracy, and metric is '{self.metric}'", fix=TOP1)

    @property
    def number(self) -> float:
        """The published score, or the mean over the classes where the report has only those."""
        return math.fsum(self.per_class) / len(self.per_class) if self.value is None else self.value


class Claim(SettingFilter, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A conclusion of the report: one combination scores higher than another, or lower, or the same.

    It is judged twice: its direction, and its size where the report prints one. That is `difference`, `at_least`, or
    the difference of the two numbers in the suite's `reported`.
    """

    text: str
    """The conclusion in words."""
    better: Combination
    """The combination that it says is better."""
    worse: Combination | Literal["all"] = ()
    """The combination that it is compared with, empty for the baseline; "all" if `better` is the best of all."""
    imbalance_factors: Annotated[tuple[float, ...], Meta(min_length=1)] | Literal["all"] = "all"
    """Where it is judged, at each factor alone."""
    metric: str = TOP1
    """The score that it is judged by."""
    sign: Literal["+", "-", "="] = "+"
    """Sign of the score of `better` minus that of `worse`: "-" where low scores are good, "=" for no difference."""
    at_least: Annotated[float, Meta(ge=0, le=1)] = 0.0
    """Minimum difference that the report prints, as a fraction."""
    within: Annotated[float, Meta(gt=0, le=1)] | None = None
    """For "=": the largest difference that counts as none, as a fraction."""
    difference: Fraction | None = None
    """The published difference with its sign, where the report prints it and not both numbers."""
    pooled: bool = False
    """Judge the mean over the imbalance factors instead of each factor alone."""
    needs_epochs: bool = False
    """Whether it depends on how often data is seen, so that it is not tested where the recipe counts steps."""
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
                fix='set `within` with sign = "=", as the difference that counts as none, and only there',
            )
        if self.at_least and self.sign == "=":
            raise SuiteError(f"claim '{self.text}' has at_least for no difference", fix="use within")
        if self.worse == ALL and self.sign == "=":
            raise SuiteError(
                f"claim '{self.text}' says that nothing differs from all others", fix="name one of them as `worse`"
            )
        sizes = [name for name in ("at_least", "difference") if getattr(self, name)]
        if len(sizes) > 1:
            raise SuiteError(f"claim '{self.text}' has at_least and difference", fix="give the one that is printed")
        if self.worse == ALL and sizes:
            raise SuiteError(
                f"claim '{self.text}' has {sizes[0]} to all others", fix="a claim of its own, with one `worse`"
            )
        if self.difference and self.sign != "=" and (self.difference < 0) != (self.sign == "-"):
            raise SuiteError(
                f"claim '{self.text}' has sign '{self.sign}' and difference {self.difference:g}",
                fix="difference is better minus worse: give both the same sign",
            )


def as_recorded(techniques: Combination, registry: Techniques) -> Combination:
    """Return a combination as in records: without parameters at their defaults, and without baselines.

    A technique of no installed plugin stays as it is written: it has no record, and the page says so.
    """
    baselines = {baseline.label for stage in STAGES if (baseline := registry.baseline(stage)) is not None}
    labels = (_label(text, registry) for text in techniques)
    return tuple(label for label in labels if label not in baselines)


def _label(text: str, registry: Techniques) -> str:
    # A report may name techniques that nobody offers yet; its numbers are shown all the same.
    try:
        return registry.parse(text).label
    except LtbenchError:
        return text


def check_figures(figures: Iterable[str]) -> None:
    """Raise `SuiteError` where a figure is unknown, named twice, or has a threshold that it does not take."""
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
        known = f"there are {', '.join(FIGURES)}"
        fix = known if name in FIGURES else did_you_mean(name, FIGURES, known)
        raise SuiteError(f"there is no figure '{figure}'", fix=fix)
    return name, None if match["threshold"] is None else int(match["threshold"])


def _check_once(combination: Combination, where: str) -> None:
    if len(set(combination)) != len(combination):
        raise SuiteError(f"{where} names a technique twice", fix="name it once")
