"""How the numbers of two runs of one cell agree: exactly on one type of machine, within a band on unlike ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from ltbench.core.checksums import digest
from ltbench.core.spec import canonical
from ltbench.records.record import Record
from ltbench.stages import PRIMARY

BAND: Final = 0.02
"""How far top-1 accuracies of one cell from unlike machines may be apart. docs/data-format.md has the measurement."""
_MACHINE = ("device", "processor", "capability", "platform", "torch", "numpy")

Number = float | int | None


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """How the numbers of two records of one cell agree."""

    same: bool
    """Whether every number is the same, to the last bit."""
    expected: Literal["exact", "band"]
    """`exact` where both were made on one type of machine with the same software."""
    unlike: list[str]
    """What of the two machines differs, as `torch 2.5 / 2.6`."""
    metrics: dict[str, tuple[Number, Number]]
    """Of each metric the number of the first record and of the second."""
    gap: float | None
    """How far the top-1 accuracies are apart; None where one is missing."""

    def within(self, tolerance: float | None = None) -> bool:
        """Whether this is agreement: all the same where that is expected, else top-1 within the band.

        tolerance: how far top-1 accuracies may be apart, on whatever machine.
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
    """Return what may move a number and differs between two environments; what one does not tell is not compared."""
    return [
        f"{key} {first[key]} / {second[key]}"
        for key in _MACHINE
        if first.get(key) is not None and second.get(key) is not None and first[key] != second[key]
    ]


def result_digest(record: Record) -> str:
    """Return a digest of what two honest runs of a cell have in common, 32 hex digits.

    Left out is what depends on when and where a cell was run: times, machine, versions, learning curve, error.
    """
    common = msgspec.structs.replace(
        record, cost={}, environment={}, curve={}, plugins=[], error=None, digest=""
    )  # fmt: skip
    return digest(canonical(common), 32)
