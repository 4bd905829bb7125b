"""Agreement of two runs of one cell: bit-identical on one type of machine, within a tolerance on others."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from ltbench.columns import TOP1
from ltbench.core.checksums import digest
from ltbench.core.spec import canonical
from ltbench.records.machines import unlike_machines
from ltbench.records.numbers import Numbers
from ltbench.records.record import Record

BAND: Final = 0.02
"""Allowed difference of the top-1 accuracies of a cell on two types of machine, measured in docs/data-format.md."""
Number = float | int | None


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """Agreement of two records of one cell."""

    same: bool
    """Whether all numbers that both have are bit-identical. One may have more metrics than the other."""
    expected: Literal["exact", "band"]
    """`exact` for one type of machine with the same software."""
    unlike: list[str]
    """Differences of the two machines, as `torch 2.5 / 2.6`."""
    metrics: dict[str, tuple[Number, Number]]
    """Metric -> numbers of the first and the second record."""
    gap: float | None
    """Absolute difference of the top-1 accuracies; None if one is missing."""

    def within(self, tolerance: float | None = None) -> bool:
        """Return whether the records agree: identical if that is expected, else top-1 within the tolerance.

        tolerance: allowed difference of top-1, instead of this rule.
        """
        if self.same:
            return True
        if tolerance is None:
            tolerance = 0.0 if self.expected == "exact" else BAND
        return tolerance > 0 and self.gap is not None and self.gap <= tolerance


def agreement(first: Record, second: Record) -> Agreement:
    """Compare two records of one cell."""
    unlike = unlike_machines(first.environment, second.environment)
    metrics: dict[str, tuple[Number, Number]] = {
        name: (first.metrics.get(name), second.metrics.get(name))
        for name in sorted(first.metrics.keys() | second.metrics.keys())
    }
    before, after = metrics.get(TOP1, (None, None))
    return Agreement(
        same=same_results(first, second),
        expected="band" if unlike else "exact",
        unlike=unlike,
        metrics=metrics,
        gap=None if before is None or after is None else abs(float(after) - float(before)),
    )


def same_results(first: Record, second: Record) -> bool:
    """Return whether two records of a cell have the same numbers; metrics that only one has are not compared.

    So a metric that was installed between two runs makes no difference.
    """
    # Without top-1 accuracy, too little would be compared.
    if (TOP1 in first.metrics) != (TOP1 in second.metrics):
        return False
    return result_digest(_shared(first, second)) == result_digest(_shared(second, first))


def has_more_metrics(record: Record, other: Record) -> bool:
    """Return whether a record has the numbers of another record of its cell, and further metrics."""
    mine, theirs = ({p.name: p.revision for p in one.plugins if p.stage == "metric"} for one in (record, other))
    has_all = all(mine.get(name, 0) >= revision for name, revision in theirs.items())
    return has_all and _count(record) > _count(other) and same_results(record, other)


def _count(record: Record) -> int:
    splits: list[Numbers] = [record, *([] if record.held_out is msgspec.UNSET else [record.held_out])]
    return sum(len(split.metrics) + len(split.per_class) + split.has_confusion for split in splits)


def _shared(record: Record, other: Record) -> Record:
    """Return the record without numbers that the other one lacks."""
    held_out: Numbers | msgspec.UnsetType = msgspec.UNSET
    if record.held_out is not msgspec.UNSET and other.held_out is not msgspec.UNSET:
        held_out = msgspec.structs.replace(record.held_out, **_common(record.held_out, other.held_out))
    return msgspec.structs.replace(record, **_common(record, other), held_out=held_out)


def _common(numbers: Numbers, others: Numbers) -> dict[str, Any]:
    per_class = {name: values for name, values in numbers.stored_per_class.items() if name in others.per_class}
    return {
        "metrics": {name: value for name, value in numbers.metrics.items() if name in others.metrics},
        "stored_per_class": per_class,
        **({} if others.has_confusion else {"stored_confusion": Numbers().stored_confusion}),
    }


def result_digest(record: Record) -> str:
    """Return a digest of the results of a cell, 32 hex digits; equal for two honest runs on one type of machine.

    Times, machine, versions, learning curve and errors depend on when and where a cell ran, and are left out. So is the
    report on data files, because it includes files that were not read. The form in which numbers are stored does not matter.
    """
    data = {key: value for key, value in record.data.items() if key != "report"}
    held_out = record.held_out
    if held_out is not msgspec.UNSET:
        held_out = msgspec.structs.replace(held_out, **held_out.digested_fields())
    common = msgspec.structs.replace(
        record, **record.digested_fields(), schema=1, held_out=held_out, data=data, cost={}, environment={}, curve={},
        plugins=[], error=None, failed_metrics=msgspec.UNSET, digest="",
    )  # fmt: skip
    return digest(canonical(common), 32)
