"""Records: one per cell, sealed when created, checked whenever they are read.

A record holds the numbers of a cell and their origin: the specs of the cell and its fits, from which its identity is
recomputed, and a digest over everything, which detects changes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import msgspec

from ltbench.columns import BALANCED, CLASS_ACCURACY, HELD_OUT
from ltbench.core import checksums, compressed_file
from ltbench.core.spec import Spec, canonical, identity, is_partial, label_of
from ltbench.core.words import with_article
from ltbench.costs import is_cost, mean_cost
from ltbench.errors import RecordError
from ltbench.records import comparability
from ltbench.records.comparability import ROW_STAGES, BoardKey
from ltbench.records.numbers import Number, Numbers
from ltbench.stages import NETWORK_STAGES, TECHNIQUE_STAGES, TRAINING_STAGES

SCHEMA: Final = 1
_RESTORE = "restore the file from version control, or remove it and run the suite again"

_Struct = TypeVar("_Struct", bound=msgspec.Struct)


class Setting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The setting of a cell; techniques are written as on a command line."""

    dataset: str
    profile: str
    imbalance_factor: float
    model: str
    subset_seed: int
    seed: int


class Provenance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The origin of a technique; `source` is a digest of the code that defines it."""

    name: str
    stage: str
    distribution: str
    version: str
    revision: int
    source: str = ""


class Failure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a cell has no numbers: `job` is the key of the job that failed, `log` its traceback."""

    type: str
    message: str
    job: str = ""
    log: str = ""


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """The record of one cell. Metrics are fractions, `None` where undefined; times are seconds."""

    schema: Literal[1] = SCHEMA
    id: str
    status: Literal["ok", "failed"]
    protocol: str
    spec: Spec
    fits: list[Spec]
    """The spec of each member's fit, in the order of `spec["members"]`."""
    setting: Setting
    combination: dict[str, str | None]
    """Stage -> technique as written on a command line; `None` for the stage's baseline."""
    recipe: Spec
    metrics: dict[str, Number] = {}
    per_class: dict[str, list[Number]] = {}
    confusion: list[list[int]] = []
    """Test images by true class (row) and predicted class (column)."""
    held_out: Numbers | msgspec.UnsetType = msgspec.UNSET
    """The same numbers on the held-out images; omitted if none are held out."""
    data: Spec = {}
    cost: dict[str, Number] = {}
    environment: Spec = {}
    plugins: list[Provenance] = []
    curve: Spec = {}
    notes: list[str] = []
    error: Failure | None = None
    failed_metrics: dict[str, Failure] | msgspec.UnsetType = msgspec.UNSET
    """Why metrics of a successful cell have no numbers, by name of the metric; omitted if none failed."""
    digest: str = ""
    """SHA-256 over the canonical JSON of the record with an empty digest, first 32 hex digits."""

    @cached_property
    def label(self) -> str:
        """The combination as a leaderboard writes it."""
        return " + ".join(label for _, label in self.techniques) or "baseline"

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
            known = [float(each) for each in self.per_class.get(CLASS_ACCURACY, []) if each is not None]
            return math.fsum(known) / len(known) if known else None
        return None if value is None else float(value)

    def _cost(self, metric: str) -> float | None:
        """Return an expected cost, which follows from the confusion matrix."""
        known: dict[str, float | None] = self.__dict__.setdefault("costs", {})
        if metric not in known:
            of = self.held_out if metric.startswith(HELD_OUT) else self
            confusion = [] if of is msgspec.UNSET else of.confusion
            known[metric] = mean_cost(confusion, self.data.get("classes", ()), metric) if confusion else None
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
    """Return the record as plain JSON values: validated, completed with defaults, and sealed with its digest."""
    made = _convert({**record, "digest": ""}, "")
    problem = _problem(made)
    if problem:
        raise RecordError(f"a newly created record is malformed: {problem}", where=f"cell {made.id}")
    plain: dict[str, Any] = msgspec.to_builtins(sealed(made))
    return plain


def validate(record: Mapping[str, Any] | Record, where: str = "") -> Record:
    """Return the record, checked against schema and digest. Raises `RecordError` naming `where` and the field."""
    made = record if isinstance(record, Record) else _convert(record, where)
    problem = _problem(made)
    if problem:
        raise RecordError(f"a record is malformed: {problem}", where=where or f"cell {made.id}", fix=_RESTORE)
    digest = sealed(made).digest
    if digest != made.digest:
        raise RecordError(
            "a record was changed after it was created: its digest does not match its content",
            where=where or f"cell {made.id}",
            why=f"digest {made.digest or 'missing'}, content {digest}",
            fix=_RESTORE,
        )
    return made


def check_identity(record: Record, where: str = "") -> None:
    """Recompute the identity of a record from its content; raise `RecordError` naming what does not match."""
    for field, said, found in _identities(record):
        if said != found:
            raise RecordError(
                f"a record contradicts itself: {field} is {said!r}, but its specs give {found!r}",
                where=where or f"cell {record.id}",
                why="it was changed after it was created, or created by another version of ltbench",
                fix=_RESTORE,
            )


def _identities(record: Record) -> Iterator[tuple[str, object, object]]:
    spec, fits, setting = record.spec, record.fits, record.setting
    yield "id", record.id, identity(spec)
    yield "protocol", record.protocol, spec.get("protocol")
    yield "spec.members", spec.get("members"), [identity(fit) for fit in fits]
    for fit in fits:
        data = fit.get("data", {})
        yield "setting.dataset", setting.dataset, label_of(data.get("dataset"))
        yield "setting.profile", setting.profile, label_of(data.get("profile"))
        yield "setting.imbalance_factor", setting.imbalance_factor, data.get("imbalance_factor")
        yield "setting.subset_seed", setting.subset_seed, data.get("subset_seed")
        yield "recipe", record.recipe, fit.get("recipe")
    if record.combination.get("ensemble") is None:
        # Members of an ensemble may have other models and seeds.
        yield "setting.seed", [setting.seed], [fit.get("seed") for fit in fits]
        yield "setting.model", [setting.model], [label_of(fit.get("model")) for fit in fits]
    for stage in ("view", "posthoc", "ensemble"):
        said, found = record.combination.get(stage), label_of(spec.get(stage)) or None
        if said is not None or stage == "posthoc":
            yield f"combination.{stage}", said, found
    for stage in (*NETWORK_STAGES, *TRAINING_STAGES):
        said = record.combination.get(stage)
        parts = fits if stage in NETWORK_STAGES else [segment for fit in fits for segment in fit.get("segments", [])]
        used = sorted({label_of(part.get(stage)) for part in parts})
        if said is not None and said not in used:
            yield f"combination.{stage}", said, used


def _convert(record: Mapping[str, Any], where: str) -> Record:
    if record.get("schema", SCHEMA) != SCHEMA:
        raise RecordError(
            f"a record has schema {record.get('schema')!r}, but this version of ltbench reads schema {SCHEMA}",
            where=where,
            fix="use the version of ltbench that created it, or remove the record and run the suite again",
        )
    try:
        return msgspec.convert(record, Record)
    except msgspec.ValidationError as error:
        where = where or f"cell {record.get('id', 'without id')}"
        raise RecordError("a record does not follow the schema", where=where, why=str(error), fix=_RESTORE) from None


def _problem(record: Record) -> str:
    """Return a problem that the schema cannot express; empty if there is none."""
    if not math.isfinite(record.setting.imbalance_factor) or record.setting.imbalance_factor < 1:
        return f"setting.imbalance_factor is {record.setting.imbalance_factor}; expected 1 or more"
    if unknown := sorted(set(record.combination) - set(TECHNIQUE_STAGES)):
        return f"combination names {', '.join(unknown)}, which is not a stage"
    if (record.status == "failed") != (record.error is not None):
        return f"status is '{record.status}' but error is {'missing' if record.error is None else 'set'}"
    if record.held_out is not msgspec.UNSET and not any("held_out" in fit.get("data", {}) for fit in record.fits):
        return "it has held-out numbers, but no fit holds images out"
    if "splits" in record.spec and (record.metrics or record.per_class or record.confusion):
        return "it is a trial on held-out images, but has numbers on test images"
    own = Numbers(metrics=record.metrics, per_class=record.per_class, confusion=record.confusion)
    return own.problem("") or ("" if record.held_out is msgspec.UNSET else record.held_out.problem("held_out."))


# --- files ------------------------------------------------------------------------------------------------------


def read_lines(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield (place, content) of each line that is not empty, of a compressed file, too. Raises `RecordError`."""
    try:
        with compressed_file.opened(path) as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield f"{path}, line {number}", line.rstrip(b"\r\n")
    except compressed_file.UNREADABLE as error:
        why = (isinstance(error, OSError) and error.strerror) or str(error)
        raise RecordError(f"records {path} cannot be read", why=why, fix=_RESTORE) from None


def parse_object(line: bytes, where: str) -> dict[str, Any]:
    """Parse the JSON object of a line; raise `RecordError` if it is not one."""
    try:
        raw = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordError("a line is not JSON", where=where, why=str(error), fix=_RESTORE) from None
    if not isinstance(raw, dict):
        raise RecordError(
            "a line is not a record", where=where, why=f"it is {with_article(type(raw).__name__)}", fix=_RESTORE
        )
    return raw


def checked_record(raw: Mapping[str, Any], where: str = "") -> Record:
    """Return the record, checked against schema, digest and identity. Raises `RecordError`."""
    record = validate(raw, where)
    check_identity(record, where)
    return record


def sort_key(record: Record) -> tuple[object, ...]:
    """Return the sort key of a record: setting, then combination (simple ones first), then seeds."""
    return record.order


def combination_order(techniques: Sequence[tuple[str, str]]) -> tuple[object, ...]:
    """Return the sort key of a combination: number of techniques, then stages and labels."""
    return len(techniques), [(ROW_STAGES.index(stage), label) for stage, label in techniques]
