"""What `ltbench plan` says about a screening design."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ltbench.core.words import counted

if TYPE_CHECKING:
    from ltbench.planning.screen_quality import Estimate, ScreenQuality

SHOWN = 10


def screen_lines(quality: ScreenQuality) -> Iterator[str]:
    """Yield what a design estimates, how precisely, and what is mixed into the estimates."""
    known, effects = len(quality.estimates), quality.effects
    rank = "full rank: every effect can be estimated" if known == effects else f"{known} of them can be estimated"
    yield f"screen      {quality.rows} rows for {counted(effects, 'effect')}, {rank}"
    for names in quality.not_estimable:
        yield f"            not estimable: {' × '.join(names)}"
    for what, kind in (("effects", 1), ("pairs", 2)):
        mine = [one for one in quality.estimates if len(one.techniques) == kind]
        if mine:
            yield f"            variance of {what}, relative to an ideal design with as many rows: {_factors(mine)}"
    if quality.aliased:
        yield (
            f"aliased     the interactions of {len(quality.aliased):,} other pairs of techniques are in the estimates; the "
            "largest shares:"
        )
        for alias in quality.aliased[:SHOWN]:
            yield f"            {' × '.join(alias.techniques)}: {alias.share:+.2f} of it in {' × '.join(alias.effect)}"
        if len(quality.aliased) > SHOWN:
            yield f"            and {len(quality.aliased) - SHOWN:,} more (--json names all)"


def _factors(estimates: Sequence[Estimate]) -> str:
    """Return the mean of variance factors, and the largest ones by name."""
    ordered = sorted(estimates, key=lambda one: -one.variance_factor)
    mean = sum(one.variance_factor for one in ordered) / len(ordered)
    largest = ", ".join(f"{' × '.join(one.techniques)} {one.variance_factor:.2f}" for one in ordered[:3])
    return f"{mean:.2f} on average, largest for {largest}"
