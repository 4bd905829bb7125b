"""FILL IN: what the method is, in one line."""

from __future__ import annotations

from ltbench import Method, hookimpl

LTBENCH_API = 1  # version of the ltbench hooks that this module implements


@hookimpl
def ltbench_methods() -> list[Method]:
    """Return the method: a name for techniques of several stages, written as on a command line."""
    return [
        Method(
            name="my_method",
            parts=("ldam[max_margin=0.3]", "ens[reduction=weighted_mean]", "drw"),
            about="FILL IN: what the method is, in one line.",
            source="FILL IN: authors, title, venue and year",
        )
    ]
