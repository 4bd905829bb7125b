"""Records: one per cell, sealed when created, checked whenever they are read.

A record holds the numbers of a cell and their origin: the specs of the cell and its fits, from which its identity is
recomputed, and a digest over everything, which detects changes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

from ltbench.columns import BALANCED, CLASS_ACCURACY, HELD_OUT
from ltbench.core import checksums
from ltbench.core.printable import encodable, shortened
from ltbench.core.row_labels import row_label
from ltbench.core.spec import canonical, is_partial
from ltbench.costs import is_cost, mean_cost
from ltbench.errors import RecordError
from ltbench.records import comparability, shape
from ltbench.records.comparability import ROW_STAGES, BoardKey
from ltbench.records.lines import RESTORE
from ltbench.records.numbers import Numbers, stored_fields
from ltbench.stages import STAGES, TECHNIQUE_STAGES

SCHEMAS: Final = (1, 2)
"""2 for records with packed numbers, which older versions of ltbench cannot read; the others remain readable to them."""

_TYPE, _LOG = 100, 200_000
"""Characters of a failure that a record has at most."""
_STAGES, _VARIED = frozenset(STAGES), frozenset(TECHNIQUE_STAGES)
_Struct = TypeVar("_Struct", bound=msgspec.Struct)


class Setting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The setting of a cell; techniques are written as on a command line."""

    dataset: shape.Label
    profile: shape.Label
    imbalance_factor: Annotated[float, Meta(ge=1, le=1e9)]
    model: shape.Label
    subset_seed: shape.Seed
    seed: shape.Seed


class Provenance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The origin of a technique; `source` is a digest of the code that defines it."""

    name: shape.Key
    stage: shape.Key
    distribution: shape.Key
    version: shape.Word
    revision: shape.Revision
    source: shape.Word = ""


class Failure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a cell has no numbers: `job` is the key of the job that failed, `log` its traceback."""

    type: shape.Key
    message: shape.Text
    job: shape.Digest = ""
    log: shape.Text = ""


def failure(*, type: str, message: str, job: str = "", log: str = "") -> Failure:  # noqa: A002 - as the field
    """Return a failure that a record can hold, of texts of any length and with any characters."""
    return Failure(
        type=encodable(type)[:_TYPE] or "Exception",
        message=shortened(encodable(message), "in the log"),
        job=job,
        log=encodable(log)[-_LOG:],  # its end says why
    )


class Record(Numbers, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """The record of one cell, with its numbers on test images. Metrics are fractions, `None` where undefined; times are seconds."""

    schema: Literal[1, 2] = 1
    id: shape.Id
    status: Literal["ok", "failed"]
    protocol: shape.Key
    spec: shape.CellSpec
    fits: Annotated[list[shape.FitSpec], Meta(min_length=1, max_length=1000)]
    """The spec of each member's fit, in the order of `spec["members"]`."""
    setting: Setting
    combination: Annotated[dict[shape.Key, shape.Label | None], Meta(max_length=100)]
    """Stage -> technique as written on a command line; `None` for the stage's baseline."""
    recipe: shape.RecipeSpec
    held_out: Numbers | msgspec.UnsetType = msgspec.UNSET
    """The same numbers on the held-out images; omitted if none are held out."""
    data: shape.DataSpec = msgspec.field(default_factory=dict)
    cost: shape.Metrics = msgspec.field(default_factory=dict)
    environment: shape.Environment = msgspec.field(default_factory=dict)
    plugins: Annotated[list[Provenance], Meta(max_length=1000)] = msgspec.field(default_factory=list)
    curve: shape.CurveSpec = msgspec.field(default_factory=dict)
    notes: Annotated[list[shape.Line], Meta(max_length=1000)] = msgspec.field(default_factory=list)
    error: Failure | None = None
    failed_metrics: Annotated[dict[shape.Key, Failure], Meta(max_length=1000)] | msgspec.UnsetType = msgspec.UNSET
    """Why metrics of a successful cell have no numbers, by name of the metric; omitted if none failed."""
    digest: shape.Digest = ""
    """SHA-256 over the canonical JSON of the record with an empty digest, first 32 hex digits."""

    @property
    def fingerprint(self) -> str:
        """Digest of the content of the data set."""
        return str(self.fits[0]["data"]["fingerprint"])

    @cached_property
    def label(self) -> str:
        """The combination as a leaderboard writes it."""
        return row_label(label for _, label in self.techniques)

    @cached_property
    def techniques(self) -> tuple[tuple[str, str], ...]:
        """The techniques as (stage, label), in the order of the stages."""
        return tuple((stage, label) for stage in ROW_STAGES if (label := self.combination.get(stage)))

    @cached_property
    def order(self) -> tuple[object, ...]:
        """Sort key: setting, then combination (simple ones first), then seeds."""
        # Cached, because a page of ten thousand records sorts them several times.
        place = (*self.board, self.setting.imbalance_factor, *combination_order(self.techniques))
        return (*place, *self.seeds, self.id, self.digest)

    @cached_property
    def board(self) -> BoardKey:
        """Key of its board: records are compared within one protocol, data set, profile, model and recipe."""
        s = self.setting
        return comparability.board_key(
            self.protocol, (s.dataset, s.profile, s.model), self.recipe, self.spec, self.fits
        )  # fmt: skip

    @cached_property
    def components(self) -> dict[comparability.Component, comparability.Version]:
        """The version of each technique that the cell was made with, including model and baselines."""
        return dict(comparability.components(self.spec, self.fits))

    @property
    def is_partial(self) -> bool:
        """Whether it is on no page."""
        return is_partial(self.spec)

    @property
    def seeds(self) -> tuple[int, int]:
        """The seed pair: subset seed and training seed."""
        return self.setting.subset_seed, self.setting.seed

    def score(self, metric: str) -> float | None:
        """Return the number of a metric, on held-out images if its name has that prefix; None if undefined or missing."""
        if is_cost(metric):
            return self._cost(metric)
        if metric.startswith(HELD_OUT):
            return _held_out_score(self, metric.removeprefix(HELD_OUT))
        value = self.metrics.get(metric)
        if value is None and metric == BALANCED:
            # Computed from other fields for records older than this metric.
            known = [float(each) for each in self.per_class.get(CLASS_ACCURACY, ()) if each is not None]
            return math.fsum(known) / len(known) if known else None
        return None if value is None else float(value)

    def _cost(self, metric: str) -> float | None:
        """Return an expected cost, which follows from the confusion matrix."""
        known: dict[str, float | None] = self.__dict__.setdefault("costs", {})
        if metric not in known:
            of = self.held_out if metric.startswith(HELD_OUT) else self
            confusion = None if of is msgspec.UNSET else of.confusion
            known[metric] = None if confusion is None else mean_cost(confusion, self.data.get("classes", ()), metric)
        return known[metric]

    @property
    def slot(self) -> tuple[object, ...]:
        """Leaderboard key; records with the same key are versions of one experiment."""
        return (*self.board, self.setting.imbalance_factor, self.techniques, *self.seeds)


def _held_out_score(record: Record, metric: str) -> float | None:
    value = None if record.held_out is msgspec.UNSET else record.held_out.metrics.get(metric)
    return None if value is None else float(value)


def sealed(made: _Struct) -> _Struct:
    """Return a struct with its digest over all other fields."""
    content = canonical(msgspec.structs.replace(made, digest=""))
    return msgspec.structs.replace(made, digest=checksums.digest(content, 32))


def seal(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record as plain JSON values: validated, completed with defaults, and sealed with its digest.

    Numbers of many classes are packed (`ltbench.records.numbers`).
    """
    fields = stored_fields(record)
    if isinstance(held_out := fields.get("held_out"), Mapping):
        fields["held_out"] = stored_fields(held_out)
    made = _convert({**fields, "schema": SCHEMAS[0], "digest": ""}, "")
    made = msgspec.structs.replace(made, schema=_schema_of(made))
    problem = _problem(made)
    if problem:
        raise RecordError(f"a newly created record is malformed: {problem}", where=f"cell {made.id}")
    return plain_values(sealed(made))


def plain_values(record: Record) -> dict[str, Any]:
    """Return a record as plain JSON values, in the form in which it is stored."""
    # Not canonical: the order of the stages in a spec is that of the techniques that a rerun lists.
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(record))
    return plain


def validate(record: Mapping[str, Any] | Record, where: str = "") -> Record:
    """Return the record, checked against schema and digest. Raises `RecordError` naming `where` and the field."""
    made = record if isinstance(record, Record) else _convert(record, where)
    problem = _problem(made)
    if problem:
        raise RecordError(f"a record is malformed: {problem}", where=where or f"cell {made.id}", fix=RESTORE)
    digest = sealed(made).digest
    if digest != made.digest:
        raise RecordError(
            "a record was changed after it was created: its digest does not match its content",
            where=where or f"cell {made.id}",
            why=f"digest {made.digest or 'missing'}, content {digest}",
            fix=RESTORE,
        )
    return made


_decoder = msgspec.json.Decoder(Record)


def _convert(record: Mapping[str, Any], where: str) -> Record:
    if record.get("schema", 1) not in SCHEMAS:
        raise RecordError(
            f"a record has schema {record.get('schema')!r}, but this version of ltbench reads schema 1 to {SCHEMAS[-1]}",
            where=where,
            fix="use the version of ltbench that created it, or remove the record and run the suite again",
        )
    text = msgspec.json.encode(record)
    place = where or f"cell {record.get('id', 'without id')}"
    try:
        made = decoded(text)
    except (msgspec.ValidationError, RecursionError) as error:
        raise RecordError("a record does not follow the schema", where=place, why=str(error), fix=RESTORE) from None
    # Decoding drops keys that it does not know.
    parts = [(name, record[name], getattr(made, name)) for name in ("spec", "fits", "data", "curve") if name in record]
    for name, raw, known in parts:
        if canonical(raw) != canonical(known):
            field = shape.unknown_field(msgspec.json.decode(canonical(raw)), known, f"{name}.")
            raise unknown_field_error(field or name, place)
    return made


def unknown_field_error(field: str, where: str) -> RecordError:
    """Return the error of a record with a field that this version does not know."""
    return RecordError(
        f"a record has the unknown field '{field}'",
        where=where,
        why="it was changed, or created by another version of ltbench",
        fix="use the version of ltbench that created it, or remove the record",
    )


def decoded(text: bytes) -> Record:
    """Return the record of a line. Raises `msgspec.DecodeError`."""
    record = _decoder.decode(text)
    changes = record.canonical_fields()
    if record.held_out is not msgspec.UNSET and (inner := record.held_out.canonical_fields()):
        changes["held_out"] = msgspec.structs.replace(record.held_out, **inner)
    return msgspec.structs.replace(record, **changes) if changes else record


def _schema_of(record: Record) -> int:
    """Return the schema of a record with these fields."""
    packed = record.is_packed or (record.held_out is not msgspec.UNSET and record.held_out.is_packed)
    return SCHEMAS[packed]


def _problem(record: Record) -> str:
    """Return a problem that the schema cannot express; empty if there is none."""
    stages = {one.stage for one in record.plugins}
    if unknown := sorted((record.combination.keys() - _VARIED) | (stages - _STAGES)):
        return (
            f"{'plugins' if unknown[0] in stages else 'combination'} names {', '.join(unknown)}, which is not a stage"
        )
    if (record.status == "failed") != (record.error is not None):
        return f"status is '{record.status}' but error is {'missing' if record.error is None else 'set'}"
    if record.held_out is not msgspec.UNSET and not any("held_out" in fit.get("data", {}) for fit in record.fits):
        return "it has held-out numbers, but no fit holds images out"
    if "splits" in record.spec and (record.metrics or record.per_class or record.has_confusion):
        return "it is a trial on held-out images, but has numbers on test images"
    if found := shape.problem(record.data, record.curve, record.fits):
        return found
    return _numbers_problem(record)


def _numbers_problem(record: Record) -> str:
    held_out = "" if record.held_out is msgspec.UNSET else record.held_out.problem("held_out.")
    schema = _schema_of(record)
    other = f"schema is {record.schema}, but a record {'with' if schema > 1 else 'without'} packed numbers has {schema}"
    return record.problem("") or held_out or (other if record.schema != schema else "")


def sort_key(record: Record) -> tuple[object, ...]:
    """Return the sort key of a record: setting, then combination (simple ones first), then seeds."""
    return record.order


def combination_order(techniques: Sequence[tuple[str, str]]) -> tuple[object, ...]:
    """Return the sort key of a combination: number of techniques, then stages and labels."""
    return len(techniques), [(ROW_STAGES.index(stage), label) for stage, label in techniques]
