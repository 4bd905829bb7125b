"""The shape of what records hold, with limits: a record may come from anyone.

Specs stay plain dictionaries, because their hash is the identity of a job. `TypedDict` checks them while they are decoded, without
a pass of its own. A key that is not here is dropped, so that the digest of the record no longer fits; `unknown_field` finds it.
Numbers are finite: JSON has no others, and msgspec refuses what is too large for a float.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NotRequired, TypeAlias, TypedDict

import msgspec
from msgspec import Meta

from ltbench.core.printable import has_controls
from ltbench.data_report import DataReport

LARGEST: Final = 1e15
"""Largest absolute value of a number of a record, so that no sum or square of a page is infinite."""
CLASSES: Final = 1_000_000
TEACHERS: Final = 4
"""Teachers of teachers that a fit may have."""

Key = Annotated[str, Meta(min_length=1, max_length=200)]
"""A name of a plugin, a metric, a parameter, a class."""
Word = Annotated[str, Meta(max_length=200)]
Label = Annotated[str, Meta(max_length=20_000)]
"""A technique as on a command line; some list the counts of a thousand classes."""
Line = Annotated[str, Meta(max_length=5_000)]
Text = Annotated[str, Meta(max_length=200_000)]
"""Many lines, such as a traceback."""
Packed = Annotated[str, Meta(max_length=16_000_000)]
"""An array (`ltbench.records.packed`)."""
Digest = Annotated[str, Meta(max_length=64)]
Id = Annotated[str, Meta(min_length=1, max_length=64)]
Revision = Annotated[int, Meta(ge=0, le=10**6)]
Seed = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Count = Annotated[int, Meta(ge=0, le=2**53)]
BigCount = Annotated[int, Meta(ge=0)]
BigReal = Annotated[float, Meta(ge=0)]
Integer = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
# Integers stay integers: 1 and 1.0 have different hashes.
Real = Annotated[int, Meta(ge=-(10**15), le=10**15)] | Annotated[float, Meta(ge=-LARGEST, le=LARGEST)]
Number = Real | None
Share = Annotated[int, Meta(ge=0, le=1)] | Annotated[float, Meta(ge=0, le=1)]
Factor = Annotated[int, Meta(ge=1, le=10**9)] | Annotated[float, Meta(ge=1, le=1e9)]
# A parameter may be any number that a technique takes; a page only writes it.
Scalar = bool | Integer | float | Label | None
Parameter = (
    Scalar | Annotated[list[Scalar | Annotated[list[Scalar], Meta(max_length=10_000)]], Meta(max_length=100_000)]
)
Parameters = Annotated[dict[Key, Parameter], Meta(max_length=100)]
"""The recipe of a cell, or the parameters of a technique: their names are those of a class that may not be installed here."""


class Technique(TypedDict):
    """The spec of a technique."""

    name: Key
    distribution: Key
    revision: Revision
    params: Parameters


class Data(TypedDict):
    """The spec of the training images of a fit."""

    dataset: Technique
    fingerprint: Digest
    profile: Technique
    imbalance_factor: Factor
    subset_seed: Seed
    held_out: NotRequired[Share | Digest]


class Bag(TypedDict):
    """A bag of an ensemble."""

    ensemble: Technique
    number: Count


class Selection(TypedDict):
    """How the epoch of a fit is selected."""

    metric: Technique
    number: Label
    best: Literal["highest", "lowest"]


class Segment(TypedDict):
    """A segment of a training."""

    until: Real
    sampler: Technique
    augment: Technique | None
    mix: Technique | None
    loss: Technique
    weight: Technique | None
    trainable: Key
    restart: bool
    lr_scale: Real
    average: NotRequired[Key]
    auxiliary: NotRequired[Technique | None]
    update: NotRequired[Technique | None]
    augment_first: NotRequired[Technique]
    partner: NotRequired[Technique]
    views: NotRequired[Annotated[list[Technique | None], Meta(max_length=100)]]
    weight_decay_scale: NotRequired[Real]
    classifier: NotRequired[Key]
    batch_norm: NotRequired[Key]
    max_norm: NotRequired[Real]


class Fit(TypedDict):
    """The spec of a fit (`ltbench.core.spec`)."""

    kind: Literal["fit"]
    protocol: Key
    data: Data
    bag: Bag | None
    model: Technique
    recipe: Parameters
    seed: Seed
    segments: Annotated[list[Segment], Meta(min_length=1, max_length=1000)]
    finetune: NotRequired[Technique]
    head: NotRequired[Technique]
    branches: NotRequired[Technique]
    stream: NotRequired[Technique]
    teacher: NotRequired[Fit]
    features: NotRequired[bool]
    selection: NotRequired[Selection]
    alone: NotRequired[Key]
    """Of a training that is not shared, to compare it with the shared one."""


class Cell(TypedDict):
    """The spec of a cell."""

    kind: Literal["cell"]
    protocol: Key
    members: Annotated[list[Digest], Meta(min_length=1, max_length=1000)]
    view: Technique
    posthoc: Technique | None
    ensemble: Technique
    splits: NotRequired[Annotated[list[Key], Meta(min_length=1, max_length=10)]]
    until: NotRequired[Share]


Counts = Annotated[list[Count], Meta(max_length=CLASSES)]


class DataFacts(TypedDict, total=False):
    """The training images that a cell had; `report` is a `DataReport`."""

    counts: Counts
    imbalance_factor: Real | None
    gini: Real | None
    classes: Annotated[list[Annotated[str, Meta(max_length=500)]], Meta(max_length=CLASSES)]
    size: Count
    channels: Count
    held_out: Counts
    report: dict[str, Any]


Course = Annotated[list[Number], Meta(max_length=100_000)]
"""A number for each epoch."""


class HeldOutCurve(TypedDict):
    """The scores by which an epoch was selected."""

    number: Label
    epoch: Course
    score: Course
    selected: Real


class Curve(TypedDict, total=False):
    """The learning curve of the first member: lists of equal length."""

    epoch: Course
    lr: Course
    loss: Course
    accuracy: Course
    held_out: HeldOutCurve


if TYPE_CHECKING:
    # Everything that works with specs takes them as plain dictionaries.
    from ltbench.core.spec import Spec

    CellSpec: TypeAlias = Spec
    FitSpec: TypeAlias = Spec
    RecipeSpec: TypeAlias = Spec
    DataSpec: TypeAlias = Spec
    CurveSpec: TypeAlias = Spec
else:
    CellSpec, FitSpec, DataSpec, CurveSpec, RecipeSpec = Cell, Fit, DataFacts, Curve, Parameters
Environment = Annotated[dict[Key, bool | Real | Line | None], Meta(max_length=100)]
Metrics = Annotated[dict[Key, Number], Meta(max_length=10_000)]


def problem(data: Mapping[str, Any], curve: Mapping[str, Any], fits: Sequence[Mapping[str, Any]]) -> str:
    """Return a problem of parts of a record that their types do not express; empty if there is none."""
    lengths = {name: len(data[name]) for name in ("classes", "counts", "held_out") if name in data}
    if len(set(lengths.values())) > 1:
        return "data has " + ", ".join(f"{number} {name}" for name, number in lengths.items())
    of_epochs = {len(values) for name, values in curve.items() if name != "held_out"}
    if len(of_epochs) > 1 or (
        "held_out" in curve and len(curve["held_out"]["epoch"]) != len(curve["held_out"]["score"])
    ):
        return "curve has lists of different lengths"
    if any("teacher" in fit and teachers(fit) > TEACHERS for fit in fits):
        return f"a teacher has more than {TEACHERS} teachers above it"
    return _report_problem(data["report"], lengths.get("classes")) if "report" in data else ""


def _report_problem(raw: Mapping[str, Any], classes: int | None) -> str:
    try:
        report = msgspec.convert(raw, DataReport)
    except msgspec.ValidationError as error:
        return f"data.report does not follow the schema: {error}"
    parts = [report.files, report.train, report.test, *([report.valid] if report.valid else [])]
    return "" if {len(part) for part in parts} == {classes} else "data.report has other classes than data"


def unknown_field(raw: object, known: object, place: str = "") -> str:
    """Return the name of a field that decoding dropped, `spec.view.speed`; empty if there is none.

    raw: plain JSON values; known: the same, decoded and encoded again.
    """
    if isinstance(raw, Mapping) and isinstance(known, Mapping):
        for key, value in raw.items():
            if key not in known:
                return f"{place}{key}"
            if found := unknown_field(value, known[key], f"{place}{key}."):
                return found
    elif isinstance(raw, list) and isinstance(known, list):
        for one, other in zip(raw, known, strict=False):
            if found := unknown_field(one, other, place):
                return found
    return ""


def teachers(fit: Mapping[str, Any]) -> int:
    """Return how many teachers of teachers a fit has."""
    number = 0
    while (fit := fit.get("teacher", {})) and number <= TEACHERS:
        number += 1
    return number


_SUSPECT: Final = re.compile(
    rb'\\[^"\\/]|\x7f|\xc2[\x80-\x9f]|\xe2\x80[\x8e\x8f\xa8-\xae]|\xe2\x81[\xa6-\xa9]|\xef\xbb\xbf'
)
"""What such a character may look like in a line of JSON."""


_FREE: Final = {"message", "log", "classes", "report", "environment", "question", "notes", "note", "text"}
"""What programs, folders, machines and authors of suites say; pages and terminals escape it."""


def may_have_controls(line: bytes) -> bool:
    """Whether a line of JSON may have a control character in a text; fast, as hardly any line of a page has one."""
    return (b"\\" in line or b"\x7f" in line or not line.isascii()) and _SUSPECT.search(line) is not None


def control_field(value: object, place: str = "") -> str:
    """Return the name of a field with control characters; empty if there is none. Those in `_FREE` may have them."""
    if isinstance(value, str):
        return place if has_controls(value) else ""
    if isinstance(value, Mapping):
        for key, part in value.items():
            if has_controls(str(key)):
                return f"a key of {place or 'the record'}"
            if key not in _FREE and (found := control_field(part, f"{place}.{key}".lstrip("."))):
                return found
    elif isinstance(value, list):
        for part in value:
            if found := control_field(part, place):
                return found
    return ""
