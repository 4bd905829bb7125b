"""Short labels of a table whose rows all use a technique with the same parameters."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ltbench.leaderboard.method_names import with_method_names
from ltbench.leaderboard.tables.table import Table

LONGEST = 40
"""Characters of a label from which on a table drops parameters that do not tell rows apart."""
_JOINED = " + "


def short_labels(table: Table) -> dict[str, str]:
    """Return label of a row or technique -> label with the names of methods, and without `dropped_parameters`.

    Empty where both leave all labels as they are. Rows stay distinct, as every name stands for one label or one method.
    """
    dropped = {f"{name}[{parameters}]": name for name, parameters in dropped_parameters(table).items()}
    if not dropped and not table.methods:
        return {}
    return {
        _JOINED.join(labels): _JOINED.join(
            dropped.get(label, label) for label in with_method_names(labels, table.methods)
        )
        for labels in _rows(table)
    }


def shortened(text: str, table: Table) -> str:
    """Return a text with the techniques of a table as its labels write them."""
    methods = {}
    for labels in _rows(table) if table.methods else ():
        named = with_method_names(labels, table.methods)
        if named != list(labels):
            methods[_JOINED.join(labels)] = _JOINED.join(named)
    # A label may be part of a longer one.
    for label in sorted(methods, key=len, reverse=True):
        text = text.replace(label, methods[label])
    for name, parameters in dropped_parameters(table).items():
        # Not within the name of another technique.
        text = re.sub(
            rf"(?<![\w.-]){re.escape(f'{name}[{parameters}]')}", lambda found: found[0].partition("[")[0], text
        )
    return text


def dropped_parameters(table: Table) -> dict[str, str]:
    """Return technique -> parameters that its label leaves out, as all rows with the technique have the same ones.

    Empty where the labels are short anyway.
    """
    rows = [with_method_names(labels, table.methods) for labels in _rows(table)]
    if all(len(_JOINED.join(labels)) <= LONGEST for labels in rows):
        return {}
    found: dict[str, set[str]] = {}
    for label in (label for labels in rows for label in labels):
        name, _, parameters = label.partition("[")
        found.setdefault(name, set()).add(parameters.removesuffix("]"))
    return {name: only for name, used in sorted(found.items()) if len(used) == 1 and (only := next(iter(used)))}


def parameters_text(table: Table) -> str:
    """Return what methods stand for, and the dropped parameters, as sentences, or an empty text."""
    methods = [f"{name} is {_JOINED.join(parts)}." for name, parts in sorted(table.methods.items())]
    dropped = [f"{name}[{parameters}]" for name, parameters in dropped_parameters(table).items()]
    return " ".join([*methods, *([f"Parameters left out above: {', '.join(dropped)}."] if dropped else [])])


def _rows(table: Table) -> Iterator[Sequence[str]]:
    yield from ([label for _, label in row.techniques] for row in table.rows)
    # A published combination may have other parameters.
    yield from (one.techniques for one in table.published)
