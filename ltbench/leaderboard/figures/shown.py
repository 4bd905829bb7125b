"""The combinations that the figures of a page show, and how: the same ones in the same colours on all of them."""

from __future__ import annotations

from collections.abc import Sequence

from ltbench.leaderboard.figures.looks import Look, page_looks
from ltbench.leaderboard.figures.names import short_names
from ltbench.leaderboard.figures.series import MOST, Series, choose_labels, reference_label
from ltbench.leaderboard.method_names import with_method_names
from ltbench.leaderboard.statistics.record_groups import RecordGroup
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.leaderboard.tables.table import Board
from ltbench.records.record import Record, combination_order
from ltbench.suite.published import Combination


class ShownOnPage:
    """Chooses the combinations of each board once.

    `looks` has a look for each combination of the page and for each technique alone, by label; `short` and `names` the
    short names of techniques and of combinations, by label.
    """

    def __init__(self, facts: SuiteFacts, groups: Sequence[RecordGroup], boards: Sequence[Board]) -> None:
        self.facts = facts
        self.groups = groups
        self._boards = {board.key: board for board in boards}
        combinations = {
            record.label: record.techniques for group in groups for record in group.records if record.status == "ok"
        }
        techniques = sorted({one for found in combinations.values() for one in found}, key=lambda one: combination_order((one,)))  # fmt: skip
        simple_first = sorted(combinations, key=lambda label: combination_order(combinations[label]))
        self._labels = {group.key: self._choose(group) for group in groups}
        chosen = [label for group in groups for label in simple_first if label in self._labels[group.key]]
        reference = next((table.reference for board in boards for table in board.tables), "")
        self.looks: dict[str, Look] = page_looks(
            [*chosen, *(label for _, label in techniques), *simple_first], reference
        )
        self.short: dict[str, str] = short_names(label for _, label in techniques)
        self.names: dict[str, str] = {
            label: " + ".join(
                self.short.get(one, one) for one in with_method_names([one for _, one in found], facts.method_parts)
            )
            or label
            for label, found in combinations.items()
        }

    def board(self, group: RecordGroup) -> Board:
        """Return the tables of a group."""
        return self._boards[group.key]

    def series(self, group: RecordGroup, factor: float | None = None, most: int = MOST) -> list[Series]:
        """Return the most important combinations of a board, those of all factors or of one.

        The reference comes first, simple combinations before others.
        """
        return self._series(group, factor, self._labels[group.key][:most])

    def pair(self, group: RecordGroup, factor: float) -> list[Series]:
        """Return the reference and the highlighted combination, or the best other one of the factor, if they exist."""
        table = next(table for table in self.board(group).tables if table.factor == factor)
        most = 1 if reference_label(table) is None else 2
        return self._series(group, factor, choose_labels([table], (), self.facts.highlight, most))

    def _choose(self, group: RecordGroup) -> list[str]:
        board = self.board(group)
        tables = [*([board.across] if board.across else []), *board.tables]
        return choose_labels(tables, self._said(group), self.facts.highlight)

    def _said(self, group: RecordGroup) -> list[Combination]:
        """Return the combinations that the suite has published numbers of or claims about."""
        facts = self.facts
        printed = [one.techniques for one in facts.reported if group.matches(one)]
        sides = [side for claim in facts.claims if group.matches(claim) for side in (claim.better, claim.worse)]
        return [*printed, *(side for side in sides if not isinstance(side, str))]

    def _series(self, group: RecordGroup, factor: float | None, labels: Sequence[str]) -> list[Series]:
        records: dict[str, list[Record]] = {label: [] for label in labels}
        for record in group.records:
            if record.status == "ok" and record.label in records and factor in (None, record.setting.imbalance_factor):
                records[record.label].append(record)
        first = reference_label(self.board(group).all_tables[-1])
        there = [label for label in labels if records[label]]
        there.sort(key=lambda label: (label != first, combination_order(records[label][0].techniques)))
        return [
            Series(
                label=label,
                short=self.names[label],
                look=self.looks[label],
                records=records[label],
            )
            for label in there
        ]
