"""The markdown page of a suite: question, tables, missing cells, failures, plugins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

import msgspec

from ltbench import longtail
from ltbench.core.printable import shortened
from ltbench.core.row_labels import BASELINE
from ltbench.core.words import classes_without, counted
from ltbench.leaderboard.figures import FigureGroup
from ltbench.leaderboard.page.analysis_section import test_lines, variance_lines
from ltbench.leaderboard.page.answer import answer, answer_lines
from ltbench.leaderboard.page.claim_verdicts import judge
from ltbench.leaderboard.page.data_section import data_lines
from ltbench.leaderboard.page.datasets_section import dataset_lines
from ltbench.leaderboard.page.effects_section import effect_lines
from ltbench.leaderboard.page.how_to_read import reading_lines
from ltbench.leaderboard.page.missing_metrics import missing_metric_lines, missing_metrics
from ltbench.leaderboard.page.published_section import published_lines
from ltbench.leaderboard.page.reproduce_section import paragraph, reproduce_lines
from ltbench.leaderboard.page.search_section import search_lines, search_notice
from ltbench.leaderboard.page.tuning_section import tuning_lines
from ltbench.leaderboard.page.verification_notes import VerificationNotes, withdrawn_lines
from ltbench.leaderboard.statistics.analysis import Analysis, analyse
from ltbench.leaderboard.statistics.ranking import words_of
from ltbench.leaderboard.statistics.record_groups import group_records, other_images, titles
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.leaderboard.tables.caption import caption, short_caption
from ltbench.leaderboard.tables.cell_text import place_text
from ltbench.leaderboard.tables.columns import join_columns
from ltbench.leaderboard.tables.markdown import (
    FOLD,
    code,
    details,
    escape,
    fenced,
    last_lines,
    more_lines,
    plain_table,
    table_lines,
)
from ltbench.leaderboard.tables.markdown import LISTED as ROWS_OF_TABLE
from ltbench.leaderboard.tables.table import Board, Table
from ltbench.records.record import Failure, Record
from ltbench.records.search_file import Searched
from ltbench.records.tuning_file import TunedRow
from ltbench.stages import STAGES
from ltbench.technique import written

LISTED = 20
"""Missing combinations, failures, and lines of a log, that are written out."""
ROWS = 1_000
"""Rows of all tables of a page together, so that it stays below a megabyte; each may have `FOLD`, whatever the number."""


class FailureGroup(msgspec.Struct, frozen=True):
    """Cells that failed for the same reason."""

    error: Failure
    cells: list[Record]


def page(
    facts: SuiteFacts,
    records: Sequence[Record],
    boards: Sequence[Board],
    figures: Sequence[FigureGroup] = (),
    notes: VerificationNotes | None = None,
    analyses: Sequence[Analysis] | None = None,
    tuned: Sequence[TunedRow] = (),
    searched: Searched | None = None,
) -> str:
    """Return the text of a suite's page: the question, its answer, a figure and a table for each board, then the rest.

    records: in their fixed order; boards, figures, analyses, notes: what `make_boards`, `place_figures`, `analyse` and
    `verification_notes` return for them; tuned: how rows were tuned; searched: what a search has run.
    """
    if analyses is None:
        analyses = analyse(group_records(records, facts.metric, facts.columns), facts.screen_pairs)
    columns = join_columns(*(table.columns for board in boards for table in board.tables))
    failures = group_failures(records)
    numbers = failure_numbers(failures)
    notes = notes or VerificationNotes()
    named = titles(boards)
    groups = [one.group for one in analyses]
    judged = judge(facts.claims, facts.reported, groups)
    lines = [f"# {escape(facts.title or facts.name)}", "", *paragraph(facts.question)]
    lines += answer_lines([*search_notice(searched), *answer(boards, analyses, judged)])
    most = max(FOLD, min(ROWS_OF_TABLE, ROWS // max(1, sum(len(board.all_tables) for board in boards))))
    for board, title in zip(boards, named, strict=True):
        lines += _first(board, title if len(boards) > 1 else "", numbers, figures, most)
    if records:
        lines += [*([" ".join(notes.provenance), ""] if notes.provenance else []), *reading_lines(boards, columns)]
    else:
        lines += ["No results yet.", ""]
    lines += [*reproduce_lines(facts, records)]
    lines += search_lines(searched, columns)
    lines += tuning_lines(tuned, groups, columns)
    lines += published_lines(facts.reported, judged, groups, columns)
    if changed := other_images(boards):
        lines += [f"{escape(', '.join(changed))} had other images in some runs: each has a table of its own.", ""]
    for board, title, analysis in zip(boards, named, analyses, strict=True):
        lines += _details(board, title, analysis, numbers, figures, most, several=len(boards) > 1)
    lines += dataset_lines(analyses, figures, _reference(boards), most)
    lines += [
        *data_lines(records),
        *_missing(facts, boards),
        *missing_metric_lines(missing_metrics(records)),
        *withdrawn_lines(notes),
        *_failures(failures),
        *_plugins(records),
    ]
    return "\n".join(lines).rstrip() + "\n"


def group_failures(records: Iterable[Record]) -> list[FailureGroup]:
    """Return the failures among records by reason, in the order of the records."""
    reasons: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        if record.error is not None:
            reasons.setdefault((record.error.type, record.error.message), []).append(record)
    return [FailureGroup(cells[0].error, cells) for cells in reasons.values() if cells[0].error is not None]


def failure_numbers(failures: Iterable[FailureGroup]) -> dict[str, int]:
    """Return id of a failed cell -> number of the page section with its log."""
    return {cell.id: number for number, failure in enumerate(failures, 1) for cell in failure.cells}


def _first(
    board: Board, title: str, failures: Mapping[str, int], figures: Sequence[FigureGroup], most: int
) -> Iterator[str]:
    """Yield what a reader meets first of a board: one figure, the table, its caption, and the folded rest of it."""
    table = board.main_table
    if title:
        yield from (f"## {escape(title)}", "")
    if (figure := _first_figure(board, figures)) is not None:
        yield from figure.markdown()
    yield from (*table_lines(table, failures, most=most), "", escape(caption(table)))
    if board.ranking.why:
        yield escape(board.ranking.why)
    yield from ("", *test_lines(table), *more_lines(table, failures, most))


def _first_figure(board: Board, figures: Sequence[FigureGroup]) -> FigureGroup | None:
    """Return the first drawing of the main table, alone."""
    mine = _figures(board, board.main_table, figures)
    return next(
        (msgspec.structs.replace(one, drawings=one.drawings[:1], lines=[]) for one in mine if one.drawings), None
    )


def _details(
    board: Board, title: str, analysis: Analysis, failures: Mapping[str, int], figures: Sequence[FigureGroup],
    most: int, *, several: bool
) -> Iterator[str]:  # fmt: skip
    yield from (f"## {escape(title)}" + (": details" if several else ""), "")
    recipe = ", ".join(f"{key}={written(value)}" for key, value in sorted(board.recipe.items()))
    number = words_of(board.selected_by, join_columns(*(table.columns for table in board.tables)))
    epochs = (
        f" Each network is that of the epoch with the best {number} on held-out images." if board.selected_by else ""
    )
    yield f"Recipe: {code(recipe)}.{epochs}" + (f" Protocol {code(board.protocol)}." if several else "")
    if board.versions:
        yield (
            f"{counted(board.versions, 'record')} of earlier revisions of a technique {'is' if board.versions == 1 else 'are'} left out."
        )
    yield ""
    adds, pairs, costs = (
        [line for one in _figures(board, board.main_table, figures, kind) for line in one.markdown()]
        for kind in ("effects", "interactions", "cost")
    )
    yield from effect_lines(analysis, board, adds, pairs)
    yield from ["### Cost", "", *costs] if costs else []
    for table in board.tables:
        place = place_text(table.factor or 1, table.data)
        yield from (f"### {place[0].upper()}{place[1:]}", "", _about(table), "")
        if board.across:
            yield from (*table_lines(table, failures, most=most), "", escape(short_caption(table, board.across)), "")
            yield from (*test_lines(table), *more_lines(table, failures, most))
        yield from (line for one in _other_figures(board, table, figures) for line in one.markdown())
    yield from variance_lines(analysis)


def _other_figures(board: Board, table: Table, figures: Sequence[FigureGroup]) -> Iterator[FigureGroup]:
    """Yield the figures of one factor, without the one that the page begins with."""
    first = _first_figure(board, figures)
    used = set() if first is None else {drawing.name for drawing in first.drawings}
    # Figures of the main table stand here too, beside the first one.
    for one in _figures(board, table, figures):
        yield msgspec.structs.replace(one, drawings=[drawing for drawing in one.drawings if drawing.name not in used])


def _figures(board: Board, table: Table, figures: Sequence[FigureGroup], section: str = "") -> Iterator[FigureGroup]:
    return (
        one for one in figures if one.factor == table.factor and one.section == section and one.group.key == board.key
    )


def _reference(boards: Sequence[Board]) -> str:
    return next((table.reference for board in boards for table in board.tables), BASELINE)


def _about(table: Table) -> str:
    """Return data and cost of a table in a sentence; only costs that are the same on every machine."""
    parts = []
    counts = [int(count) for count in table.data.get("counts", [])]
    if counts:
        ratio = longtail.realised_imbalance(counts)
        realised = "" if ratio is None else f", realised imbalance {ratio:.1f}"
        gini = f", Gini {longtail.gini(counts):.2f}" if sum(counts) else ""
        parts.append(
            f"{len(counts):,} classes of {max(counts):,} to {min(counts):,} training images, {sum(counts):,} in all{realised}{gini}"
        )
    if table.test_images is not None:
        parts.append(f"{table.test_images:,} test images")
    if held_out := [int(count) for count in table.data.get("held_out", [])]:
        parts.append(f"{sum(held_out):,} images held out of training{classes_without(held_out)}")
    base = next((row for row in table.rows if not row.techniques), table.rows[0])
    cost = {name: value for name, value in base.costs.items() if value is not None}
    if "parameters" in cost:
        macs = f" and {cost['macs'] / 1e6:,.1f} M MACs an image" if "macs" in cost else ""
        parts.append(f"{cost['parameters'] / 1e3:,.1f} k parameters{macs}")
    if "samples" in cost:
        parts.append(f"{cost['samples']:,.0f} training images seen")
    return "; ".join(parts) + "." if parts else ""


def _missing(facts: SuiteFacts, boards: Sequence[Board]) -> list[str]:
    cells = [
        f"{escape(label)} at {_place(board, factor)} ({escape(board.dataset)}): "
        + ", ".join(f"seed {seed}" if subset == seed else f"subset {subset} seed {seed}" for subset, seed in runs)
        for board in boards
        for label, factor, runs in board.missing
    ]
    count = sum(len(runs) for board in boards for *_, runs in board.missing)
    if not count and not facts.unfinished:
        return []
    lines = ["## Missing cells", ""]
    if facts.unfinished:
        lines += [f"The last run left {facts.unfinished} planned cells unfinished. The same command resumes it.", ""]
    if count:
        have = "1 cell of the combinations above has" if count == 1 else f"{count} cells of the combinations above have"
        lines += [f"{have} no record:", "", *(f"- {c}" for c in cells[:LISTED])]
        lines += [f"- and {len(cells) - LISTED} combinations more"] if len(cells) > LISTED else []
        lines.append("")
    return lines


def _place(board: Board, factor: float) -> str:
    data = next((table.data for table in board.tables if table.factor == factor), {})
    return place_text(factor, data)


def _failures(failures: Sequence[FailureGroup]) -> list[str]:
    if not failures:
        return []
    lines = ["## Failures", ""]
    for number, failure in enumerate(failures, 1):
        first, *others = failure.cells
        cells = [
            f"- `{cell.id}` {escape(cell.label)}, {place_text(cell.setting.imbalance_factor, cell.data)}, "
            f"seed {cell.setting.seed}"
            for cell in (first, *others[: LISTED - 1])
        ]
        cells += [f"- and {len(others) - LISTED + 1} more"] if len(others) >= LISTED else []
        lines += [
            f"### Failure {number}",
            "",
            f"{escape(failure.error.type)}: {escape(shortened(failure.error.message, 'in the records'))}",
            "",
            *cells,
            "",
        ]
        if failure.error.log and number > LISTED:
            lines += ["Its log is in the records.", ""]
        elif failure.error.log:
            lines += [*details("Log", fenced("\n".join(last_lines(failure.error.log, LISTED)))), ""]
    return lines


def _plugins(records: Sequence[Record]) -> list[str]:
    order = list(STAGES)
    seen = {
        (order.index(p.stage), p.name, p.distribution, p.version, p.revision) for r in records for p in r.plugins
    }  # fmt: skip
    if not seen:
        return []
    rows = [
        [order[stage], escape(name), escape(f"{distribution} {version}"), str(revision)]
        for stage, name, distribution, version, revision in sorted(seen)
    ]
    rows = [
        [stage if first else "", *row[1:]]
        for stage, same in groupby(rows, key=lambda row: row[0])
        for first, row in ((i == 0, row) for i, row in enumerate(same))
    ]
    return ["## Plugins", "", *plain_table(["stage", "technique", "plugin of", "revision"], rows), ""]
