"""What `ltbench plan` says about a grid that is too large to plan in seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ltbench.cli.output import window_width
from ltbench.core.units import big_number

if TYPE_CHECKING:
    from ltbench.planning.space_size import SpaceSize

SHOWN = 10
LEGEND = (
    "conflicts, needs: combinations left out because of a conflict (also if no training can have both) or a missing technique",
    "cost: forward passes of an image without sharing; from 2 techniques on estimated from what each costs alone",
)


def space_lines(size: SpaceSize) -> list[str]:
    """Return the size of a grid as lines for a terminal: totals, and a table by number of techniques."""
    each = "" if size.cells == size.combinations * size.cells_each else "at most "
    lines = [
        f"grid        {size.combinations:,} combinations, {big_number(size.cells)} cells ({each}{size.cells_each:,} each)",
        "            ltbench run takes them in parts, those with few techniques first, and continues where it stopped",
        "",
    ]
    rows: list[tuple[str, ...]] = [("techniques", "combinations", "conflicts", "needs", "cells", "cost")]
    for order in size.orders:
        counts = (order.techniques, order.combinations, order.conflicts, order.needs, order.cells)
        rows.append((*(f"{count:,}" for count in counts), big_number(order.passes)))
    lines += [
        *_fitted(rows),
        "",
        f"            {LEGEND[0]}",
        f"            {LEGEND[1]}",
    ]
    if size.reasons:
        lines.append(f"left out    {size.left_out:,} combinations:")
        lines += [f"            {reason}" for reason in size.reasons[:SHOWN]]
        if len(size.reasons) > SHOWN:
            lines.append(f"            and {len(size.reasons) - SHOWN} more reasons (--json shows all)")
    return lines


def _fitted(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table. In a narrow window it has no cells, whose number for each combination is known."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    shown, window = list(range(len(widths))), window_width()
    if window and sum(widths) + 2 * len(widths) - 2 > window:
        shown.remove(rows[0].index("cells"))
    return ["  ".join(row[i].rjust(widths[i]) for i in shown) for row in rows]


def space_facts(size: SpaceSize) -> dict[str, Any]:
    """Return the size of a grid as JSON values."""
    return {
        "combinations": _exact(size.combinations),
        "cells": _exact(size.cells),
        "left_out": _exact(size.left_out),
        "by_techniques": [
            {key: _exact(value) for key, value in msgspec.structs.asdict(order).items()} for order in size.orders
        ],
        "reasons": size.reasons,
    }


def _exact(number: float) -> object:
    """Return a number that JSON gets exactly; msgspec refuses integers of more than 64 bits."""
    return msgspec.Raw(str(number).encode()) if isinstance(number, int) else number
