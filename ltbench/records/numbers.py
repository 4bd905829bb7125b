"""The numbers of a cell on the images of one split."""

from __future__ import annotations

import msgspec

Number = int | float | None


class Numbers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The numbers of a cell on the images of one split."""

    metrics: dict[str, Number] = {}
    per_class: dict[str, list[Number]] = {}
    confusion: list[list[int]] = []

    def problem(self, prefix: str) -> str:
        """Return a problem that the schema cannot express; empty if there is none. prefix: of the names of fields."""
        classes = len(self.confusion)
        if any(len(row) != classes for row in self.confusion):
            return f"{prefix}confusion is not square"
        if classes and (odd := sorted(name for name, values in self.per_class.items() if len(values) != classes)):
            return f"{prefix}per_class.{odd[0]} has {len(self.per_class[odd[0]])} numbers for {classes} classes"
        return ""
