"""The parts of a search: rounds of cells, each chosen by the scores of those before, until rows are told apart.

A board of the suite, which is a data set, profile and model, has a race of its own. What is asked for next depends on scores
alone, so a search goes on where it stopped.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from ltbench.cli.running.part_sources import Limits, Part, tuning_parts
from ltbench.cli.running.search_board import Board, Cell, why_ended
from ltbench.core.words import counted
from ltbench.costs import is_cost, largest_cost
from ltbench.errors import UsageError
from ltbench.planning.cell_templates import Wanted
from ltbench.planning.combinations import Combination, LeftOut, suite_combinations
from ltbench.planning.feature_jobs import goes_on_from_halves
from ltbench.planning.grid import chosen_rows, combination_count
from ltbench.planning.planner import Planner
from ltbench.planning.selection import fitted_to_held_out, held_out_metric, test_metric
from ltbench.racing.halves import Halves
from ltbench.racing.race import Race
from ltbench.records.from_store import valid_record
from ltbench.records.record import validate
from ltbench.records.search_file import Searched, SearchedRow
from ltbench.suite.suite import Suite, changed

if TYPE_CHECKING:
    from ltbench.core.spec import Job
    from ltbench.executor import Context
    from ltbench.planning.plan import Plan
    from ltbench.planning.settings import Setting
    from ltbench.records.tuning_file import TunedRow

MOST_ROWS = 5000
"""Combinations of a search, the simple ones first."""
HALF = 0.5
"""Where short trainings end."""


class SearchParts:
    """Races the combinations of a suite, then tunes those in the lead if the suite tunes."""

    def __init__(self, suite: Suite, context: Context, on: str, limits: Limits) -> None:
        """on: what rows are compared by, "held_out" or "test". Raises `UsageError` for a suite that sweeps its recipe."""
        self._suite, self._context, self._limits = suite, context, limits
        if suite.sweep:
            raise UsageError(
                f"suite '{suite.name}' sweeps its recipe, and a search has one recipe",
                fix=f"--set {next(iter(suite.sweep))}=VALUE",
            )
        plain = changed(suite, tune=None)
        if suite.strategy == "screen":
            # A screening design is where a search begins, not all that it may run.
            plain = changed(plain, strategy="all", screen_pairs=[], screen_rows=None)
        self._planner, self._scratch = (Planner(plain, context.registry, context.data_root) for _ in range(2))
        self._on_held_out = on == "held_out"
        self._unfair: dict[str, str] = {}  # combinations that are in no race, with the reason
        self._beyond = 0  # combinations of the suite beyond those that a search can take
        self._rows = self._combinations(plain)
        self._boards = self._make_boards()
        self._passes, self._rounds = 0.0, 0
        self._paid: set[str] = set()  # jobs of all rounds
        self._pending: list[tuple[Board, Cell]] = []
        """Cells of the last round whose scores were not told yet."""
        self._next: list[tuple[Board, Cell]] | None = None
        """Cells of the next round, if it is known."""
        self.tuned: list[TunedRow] = []

    def _combinations(self, suite: Suite) -> list[Combination]:
        registry = self._context.registry
        found = suite_combinations(suite, registry, chosen_rows(suite, registry, self._planner, left_out=False))
        rows = list(itertools.islice((one for one in found if not isinstance(one, LeftOut)), MOST_ROWS))
        if len(rows) == MOST_ROWS:
            self._beyond = combination_count(suite, registry, self._context.data_root) - MOST_ROWS
        return [row for row in rows if not self._is_unfair(row)]

    def _is_unfair(self, row: Combination) -> bool:
        if self._on_held_out and (posthoc := fitted_to_held_out(row)):
            self._unfair[row.label] = f"{posthoc} is fitted to the images on which rows are compared"
        return row.label in self._unfair

    def _make_boards(self) -> list[Board]:
        by_name: dict[str, list[Setting]] = {}
        for setting in self._planner.settings:
            name = ", ".join(setting.labels[field] for field in ("dataset", "profile", "model"))
            by_name.setdefault(name, []).append(setting)
        boards = []
        for name, settings in by_name.items():
            board = Board(name, settings, self._suite.seed_pairs())
            compared = held_out_metric if self._on_held_out else test_metric
            board.metric = compared(self._suite.metric, settings[0].info.test_counts, self._context.registry)
            if is_cost(board.metric.number):
                board.one = largest_cost(board.metric.number, settings[0].info.classes)
            sign: Literal[1, -1] = 1 if board.metric.higher_is_better else -1
            board.halves = Halves(sign)
            board.trainings = [self._training(row, board) for row in range(len(self._rows))]
            board.race = Race(
                [tuple((one.stage, one.label) for one in row.techniques) for row in self._rows], board.blocks,
                sign=sign, trainings=board.trainings,
            )  # fmt: skip
            boards.append(board)
        return boards

    def _training(self, row: int, board: Board) -> object:
        job = self._job(board, (row, 0))
        return row if job is None else tuple(job.spec["members"])

    # --- rounds --------------------------------------------------------------------------------------------------

    def parts(self, workers: int) -> Iterator[Part]:
        """Yield the rounds; see `PartSource`."""
        while asked := self._ask():
            self._next = None
            self._rounds += 1
            self._pending = list(asked)
            if self._rounds > 1 and (halves := self._add_halves(asked)):
                yield Part(self._taken(), f"round {self._rounds}: first halves of {counted(halves, 'cell')}")
                self._stop_half_way(asked)
            self._pending = [one for one in asked if one[1][0] not in one[0].stopped]
            for board, cell in self._pending:
                self._add(board, cell)
            if self._rounds == 1:
                self._add_halves(asked)
            names = dict.fromkeys(self._rows[row].label for _, (row, _) in self._pending)
            about = (
                f"round {self._rounds}: {counted(len(self._pending), 'cell')} of {counted(len(names), 'combination')}"
            )
            yield Part(self._taken(), about)
            if not self._read():
                return  # the run was stopped
        if self._suite.tune is not None:
            yield from self._tuning(workers)

    def combinations(self, first: Plan) -> int:
        """Return the number of combinations; see `PartSource`."""
        return len(self._rows)

    def rest(self, begun: int) -> str:
        """Return what is left; see `PartSource`."""
        return "the search is not finished"

    def _taken(self) -> Plan:
        plan = self._planner.take(more=True)
        self._passes += plan.passes_shared
        self._paid |= plan.jobs.keys()
        return plan

    def _ask(self) -> list[tuple[Board, Cell]]:
        """Return the cells of the next round; none if all rows are told apart, or the limits are reached."""
        if self._next is not None:
            return self._next
        asked: list[list[tuple[Board, Cell]]] = []
        for number, board in enumerate(self._boards if self._passes < (self._limits.passes or math.inf) else []):
            left = len(self._rows) * len(board.blocks)
            if self._limits.cells is not None:
                left = self._limits.cells - sum(len(one.cells) for one in self._boards) - sum(map(len, asked))
                left = math.ceil(left / (len(self._boards) - number))  # the boards that follow have their share
            # The row that all others of the page are compared with is run in any case.
            cells = [] if self._rounds else self._of_reference(board)[: max(left, 0)]
            cells += board.race.ask(max(left - len(cells), 0))
            asked.append([(board, cell) for cell in self._with_shared(board, cells)])
        # In turn, so that a search that is stopped knows as much of each board.
        self._next = [one for turn in itertools.zip_longest(*asked) for one in turn if one is not None]
        return self._next

    def _of_reference(self, board: Board) -> list[Cell]:
        """Return the cells of the reference of the suite with the first pair of seeds."""
        labels = {label for text in self._suite.reference for label in _labels(self._context, text)}
        row = next((n for n, one in enumerate(self._rows) if {part.label for part in one.techniques} == labels), None)
        first = board.blocks[0].seeds
        return [(row, n) for n, block in enumerate(board.blocks) if row is not None and block.seeds == first]

    def _with_shared(self, board: Board, cells: Sequence[Cell]) -> list[Cell]:
        """Return the cells, and those that need no other training, unless cells are what is limited."""
        found = dict.fromkeys(cells)
        if self._limits.cells is None:
            for row, block in cells:
                alike = (other for other, training in enumerate(board.trainings) if training == board.trainings[row])
                found |= {(other, block): None for other in alike if (other, block) not in board.told}
        return [cell for cell in found if cell[0] not in board.stopped]

    def _add(self, board: Board, cell: Cell, until: float | None = None) -> str | None:
        """Plan a cell; return its key, or None if it cannot be planned."""
        setting, seeds = board.places[cell[1]]
        added = self._planner.add(self._rows[cell[0]], Wanted(settings=[setting], seeds=[seeds], until=until))
        if until is None:
            board.cells[cell] = added[0].key if added else ""
        return added[0].key if added else None

    def _read(self) -> bool:
        """Tell the scores of the last round; return whether all are there."""
        for board, cell in list(self._pending):
            key = board.cells.get(cell)
            record = self._record(key)
            if key is None or (key and record is None):
                return False
            score = self._score(board, record)
            board.race.tell(cell, score)
            board.told[cell] = score is None and record is not None and record["status"] == "ok"
            board.halves.add(*cell, end=score)
            if (half := board.half_cells.get(cell)) is not None:
                board.halves.add(*cell, half=self._score(board, self._record(half)))
            self._pending.remove((board, cell))
        return True

    def _record(self, key: str | None) -> dict[str, Any] | None:
        return valid_record(key, self._context.store) if key else None

    def _score(self, board: Board, record: dict[str, Any] | None) -> float | None:
        name = board.metric.name if self._on_held_out else board.metric.number
        score = None if record is None else validate(record).score(name)
        return None if score is None else score / board.one

    # --- halves --------------------------------------------------------------------------------------------------

    def _add_halves(self, asked: Sequence[tuple[Board, Cell]]) -> int:
        """Plan the first halves of trainings, where they are worth it; return their number.

        In the first round of all, to learn whether they tell ranks; then of rows that were never run, if they do. Never of a
        training that is in the store already.
        """
        found = 0
        known = {board.name: {row for row, _ in board.told} for board in self._boards}
        verdicts = {board.name: board.halves.verdict() for board in self._boards}
        for board, cell in asked:
            verdict, job = verdicts[board.name], self._job(board, cell)
            carries = verdict is not None and verdict.carries and cell[0] not in known[board.name]
            wanted = job is not None and goes_on_from_halves(job) and (self._rounds == 1 or carries)
            if not wanted or (self._is_done(board, cell) and not self._has_half(board, cell)):
                continue
            key = self._add(board, cell, HALF)
            if key is not None:
                board.half_cells[cell] = key
                found += 1
        return found

    def _is_done(self, board: Board, cell: Cell, until: float | None = None) -> bool:
        """Whether the store has the record of a cell."""
        job = self._job(board, cell, until)
        return job is not None and self._context.store.status(job.key) is not None

    def _has_half(self, board: Board, cell: Cell) -> bool:
        """Whether the store has the first half of a cell's training, so that no interruption changes what a search learns."""
        job = self._job(board, cell, HALF)
        return self._is_done(board, cell, HALF) or (
            job is not None and all(map(self._context.store.has, job.spec["members"]))
        )

    def _job(self, board: Board, cell: Cell, until: float | None = None) -> Job | None:
        """Return the job of a cell; None if it cannot be planned."""
        setting, seeds = board.places[cell[1]]
        added = self._scratch.add(self._rows[cell[0]], Wanted(settings=[setting], seeds=[seeds], until=until))
        return self._scratch.part.cells[added[0].key][0] if added else None

    def _stop_half_way(self, asked: Sequence[tuple[Board, Cell]]) -> None:
        """Give up rows that are surely worse than the leader half-way."""
        leaders = {board.name: board.race.best for board in self._boards}
        for board, cell in asked:
            if (key := board.half_cells.get(cell)) is None or cell in board.told:
                continue
            board.halves.add(*cell, half=self._score(board, self._record(key)))
            best = leaders[board.name]
            if best is not None and board.halves.surely_worse(*cell, best):
                name = self._rows[best].label
                board.stopped[cell[0]] = f"surely worse than {name} half-way through the training"
        for board, cell in asked:
            if cell[0] in board.stopped:
                board.race.tell(cell, None)

    # --- results -------------------------------------------------------------------------------------------------

    @property
    def searched(self) -> Searched:
        """What was run so far."""
        from ltbench.leaderboard.statistics.ranking import words_of
        from ltbench.leaderboard.tables.columns import declared_columns

        is_over = self._read() and not self._ask()
        labels = [row.label for row in self._rows]
        columns = declared_columns(self._context.registry.of("metric"))
        rows = [row for board in self._boards for row in board.rows(labels, words_of(board.metric.number, columns))]
        rows += [
            SearchedRow(combination=label, board=board.name, state="never run", cells=0, why=why)
            for board in self._boards
            for label, why in self._unfair.items()
        ]
        return Searched(
            on="held_out" if self._on_held_out else "test",
            metric=self._boards[0].metric.number,
            rounds=self._rounds,
            cells=sum(len(board.told) for board in self._boards),
            all_cells=sum((len(self._rows) + len(self._unfair)) * len(board.blocks) for board in self._boards),
            passes=self._passes,
            ended=why_ended(self._boards) if is_over else "It was stopped; the same command continues it.",
            halves=" ".join(filter(None, (str(board.halves) for board in self._boards))),
            rows=rows,
            beyond=self._beyond,
        )

    def _tuning(self, workers: int) -> Iterator[Part]:
        """Yield the parts of the tuning of the rows in the lead."""
        from ltbench.tuning.tuner import Tuner

        found = [row for row in self.searched.rows if row.state == "in the lead"]
        # The best one first: a budget may not be enough for all.
        leading = dict.fromkeys(row.combination for row in sorted(found, key=lambda row: not row.is_best))
        rows = {row.label: row for row in self._rows}
        tuner = Tuner(self._suite, self._context, [rows[label] for label in leading])
        self.tuned = tuner.tuned
        left = self._limits.after(sum(len(board.cells) for board in self._boards), self._passes)
        yield from tuning_parts(tuner, workers, left, self._paid)


def _labels(context: Context, text: str) -> list[str]:
    return [technique.label for technique in context.registry.parse_all(text)]
