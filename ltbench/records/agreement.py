"""Agreement of two runs of one cell: bit for bit on one type of machine, within a band on others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from ltbench.columns import PRIMARY
from ltbench.core.checksums import digest
from ltbench.core.spec import canonical
from ltbench.records.record import Record

BAND: Final = 0.02
"""Allowed difference of the top-1 accuracies of a cell on two types of machine, measured in docs/data-format.md."""
# What may change the last bits of a result. Core count and memory do not, as threads per job are fixed.
_MACHINE = ("device", "processor", "capability", "platform", "torch", "numpy")

Number = float | int | None


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """Agreement of two records of one cell."""

    same: bool
    """Whether all numbers are bit-identical."""
    expected: Literal["exact", "band"]
    """`exact` for one type of machine with the same software."""
    unlike: list[str]
    """Differences of the two machines, as `torch 2.5 / 2.6`."""
    metrics: dict[str, tuple[Number, Number]]
    """Metric -> numbers of the first and the second record."""
    gap: float | None
    """Absolute difference of the top-1 accuracies; None if one is missing."""

    def within(self, tolerance: float | None = None) -> bool:
        """Return whether the records agree: identical if that is expected, else top-1 within the band.

        tolerance: allowed difference of top-1, in place of this rule.
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
    before, after = metrics.get(PRIMARY, (None, None))
    return Agreement(
        same=result_digest(first) == result_digest(second),
        expected="band" if unlike else "exact",
        unlike=unlike,
        metrics=metrics,
        gap=None if before is None or after is None else abs(float(after) - float(before)),
    )


def unlike_machines(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """Return the differences of two environments that may change numbers; unknown values are not compared."""
    return [
        f"{key} {first[key]} / {second[key]}"
        for key in _MACHINE
        if first.get(key) is not None and second.get(key) is not None and first[key] != second[key]
    ]


def result_digest(record: Record) -> str:
    """Return a digest of the results of a cell, 32 hex digits; equal for two honest runs on one type of machine.

    Times, machine, versions, learning curve and error depend on when and where a cell ran, and are left out. So is the
    report on files, as it also tells of those that were not read.
    """
    data = {key: value for key, value in record.data.items() if key != "report"}
    common = msgspec.structs.replace(
        record, data=data, cost={}, environment={}, curve={}, plugins=[], error=None, digest=""
    )  # fmt: skip
    return digest(canonical(common), 32)
