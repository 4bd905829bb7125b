"""Checks records that are read: schema, digest, and identity, which is recomputed from their content."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from ltbench.core.spec import identity, label_of
from ltbench.errors import RecordError
from ltbench.records import shape
from ltbench.records.lines import RESTORE, UNPARSABLE, check_length
from ltbench.records.record import Record, decoded, plain_values, unknown_field_error, validate
from ltbench.stages import NETWORK_STAGES, TRAINING_STAGES


def check_identity(record: Record, where: str = "") -> None:
    """Recompute the identity of a record from its content; raise `RecordError` naming what does not match."""
    for field, said, found in _identities(record):
        if said != found:
            raise RecordError(
                f"a record contradicts itself: {field} is {said!r}, but its specs give {found!r}",
                where=where or f"cell {record.id}",
                why="it was changed after it was created, or created by another version of ltbench",
                fix=RESTORE,
            )


def _identities(record: Record) -> Iterator[tuple[str, object, object]]:
    spec, fits, setting = record.spec, record.fits, record.setting
    yield "id", record.id, identity(spec)
    yield "protocol", record.protocol, spec.get("protocol")
    yield "spec.members", spec.get("members"), [identity(fit) for fit in fits]
    for fit in fits:
        data = fit.get("data", {})
        yield "setting.dataset", setting.dataset, _label(data.get("dataset"), setting.dataset)
        yield "setting.profile", setting.profile, _label(data.get("profile"), setting.profile)
        yield "setting.imbalance_factor", setting.imbalance_factor, data.get("imbalance_factor")
        yield "setting.subset_seed", setting.subset_seed, data.get("subset_seed")
        yield "recipe", record.recipe, fit.get("recipe")
    if record.combination.get("ensemble") is None:
        # Members of an ensemble may have other models and seeds.
        yield "setting.seed", [setting.seed], [fit.get("seed") for fit in fits]
        yield "setting.model", [setting.model], [_label(fit.get("model"), setting.model) for fit in fits]
    for stage in ("view", "posthoc", "ensemble"):
        said = record.combination.get(stage)
        if said is not None or stage == "posthoc":
            yield f"combination.{stage}", said, _label(spec.get(stage), said) or None
    for stage in (*NETWORK_STAGES, *TRAINING_STAGES):
        said = record.combination.get(stage)
        parts = fits if stage in NETWORK_STAGES else [segment for fit in fits for segment in fit.get("segments", [])]
        used = sorted({_label(part.get(stage), said) for part in parts})
        if said is not None and said not in used:
            yield f"combination.{stage}", said, used


def _label(technique: Mapping[str, Any] | None, said: str | None) -> str:
    """Return the label of a technique's spec, with its distribution if that is what a record says.

    A record says `distribution/name` if several plugins provided the name where it was made; a spec never does.
    """
    label = label_of(technique)
    return said if technique and said == f"{technique['distribution']}/{label}" else label


def parsed_record(line: bytes, where: str) -> Record | None:
    """Return the record of a line, checked like any other; None if the line does not follow the schema.

    Numbers per class are not made on the way, which is what takes most of the time of `checked_record`.
    """
    check_length(line, where)
    try:
        record = decoded(line)
    except UNPARSABLE:
        return None
    if shape.may_have_controls(line) and (field := shape.control_field(msgspec.json.decode(line))):
        raise RecordError(f"a record has control characters in {field}", where=where, fix=RESTORE)
    try:
        return checked_record(record, where)
    except RecordError as error:
        # A field that no version before this one has makes the digest differ.
        field = shape.unknown_field(msgspec.json.decode(line), plain_values(record))
        raise (unknown_field_error(field, where) if field else error) from None


def checked_record(raw: Mapping[str, Any] | Record, where: str = "") -> Record:
    """Return the record, checked against schema, digest and identity. Raises `RecordError`."""
    record = validate(raw, where)
    check_identity(record, where)
    return record
