"""Lines of `plan`, `run` and `data` about the data: images read, skipped and dropped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ltbench.core.words import classes_without, dropped
from ltbench.data_report import DataReport

if TYPE_CHECKING:
    from ltbench.planning.settings import DataUse

SHOWN = 20
"""Most classes, and most remarks, that a plan lists."""


def kept_lines(use: DataUse) -> Iterator[str]:
    """Yield how many training images each profile keeps; for a data set with a profile of its own also what is dropped."""
    available = sum(use.info.train_counts)
    for profile, by_factor in use.kept.items():
        kept = ", ".join(f"{sum(n):,} (factor {factor:g})" for factor, n in by_factor.items())
        if all(sum(n) == available for n in by_factor.values()):
            yield f"{use.dataset}: {profile} keeps all {available:,} training images"
            continue
        hint = f"; --profiles {use.profile} keeps all" if use.profile else ""
        yield f"{use.dataset}: {profile} keeps {kept} of {available:,} training images{hint}"
        for factor, n in by_factor.items() if use.profile else ():
            if text := dropped(n, use.info.train_counts, use.info.classes):
                yield f"{use.dataset}: {profile} at factor {factor:g} {text}"


def held_out_lines(use: DataUse) -> Iterator[str]:
    """Yield a line for each profile: how many images are held out, and how many classes have none."""
    for profile, by_factor in use.held_out.items():
        if use.own_split:
            n = use.info.valid_counts
            yield f"{use.dataset}: the {sum(n):,} images of its own validation split are held out{classes_without(n)}"
            return
        parts = [f"{sum(n):,} at factor {factor:g}{classes_without(n)}" for factor, n in by_factor.items()]
        yield f"{use.dataset}: of the images that {profile} keeps, {', '.join(parts)} are held out of training"


def rarest_lines(use: DataUse) -> Iterator[str]:
    """Yield a line for each profile: held-out images of the class with the fewest, which tell how far a choice can go."""
    for profile, by_factor in use.held_out.items():
        if not use.own_split:
            fewest = ", ".join(f"{min(n):,} at factor {factor:g}" for factor, n in by_factor.items())
            yield f"{use.dataset}: of the rarest class with {profile} these are {fewest}"


def report_lines(report: DataReport | None, classes: Sequence[str], most: int | None = SHOWN) -> Iterator[str]:
    """Yield the contents of a data set's files: totals, a table of the classes, remarks. most: lines of each."""
    if report is None:
        return
    yield report.summary()
    rows = report.rows(classes)[:most]
    widths = [max(map(len, column)) for column in zip(report.columns, *rows, strict=True)]
    for row in ([*report.columns], *rows):
        numbers = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        yield "  ".join([row[0].ljust(widths[0]), *numbers])
    yield from _more(len(classes) - len(rows), "classes")
    remarks = report.remarks()
    yield from remarks[:most]
    yield from _more(len(remarks) - len(remarks[:most]), "remarks")


def dropped_lines(uses: Sequence[DataUse]) -> Iterator[str]:
    """Yield what is dropped of each data set with a profile of its own, and whether files are skipped."""
    for use in uses:
        available = sum(use.info.train_counts)
        if use.profile and any(sum(n) < available for kept in use.kept.values() for n in kept.values()):
            yield from kept_lines(use)
        report = use.info.report
        if report is not None:
            yield from (f"{use.dataset}: WARNING: {warning}" for warning in report.warnings)
        if report is not None and report.skipped:
            yield f"{use.dataset}: {report.summary()} (ltbench data NAME lists them)"


def _more(number: int, what: str) -> Iterator[str]:
    if number > 0:
        yield f"and {number:,} more {what} (ltbench data NAME shows all)"
