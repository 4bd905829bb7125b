"""Combinations by the names of methods whose parts they have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Methods = Mapping[str, tuple[str, ...]]
"""Name -> labels of its parts, as records have them."""


def with_method_names(labels: Sequence[str], methods: Methods) -> list[str]:
    """Return the labels of a combination with the name of a method in the place of its parts, methods of many parts first.

    >>> with_method_names(["mixup", "ldam", "ens", "drw"], {"ce_drw": ("ens", "drw"), "ldam_drw": ("ldam", "ens", "drw")})
    ['mixup', 'ldam_drw']
    """
    left = list(labels)
    for name, parts in sorted(methods.items(), key=lambda item: (-len(item[1]), item[0])):
        if set(parts) <= set(left):
            left[left.index(next(label for label in left if label in parts))] = name
            left = [label for label in left if label not in parts]
    return left


def methods_used(rows: Sequence[Sequence[str]], methods: Methods) -> list[str]:
    """Return the methods that name some of these combinations, sorted."""
    return sorted({label for row in rows for label in with_method_names(row, methods) if label in methods})
