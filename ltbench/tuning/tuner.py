"""Tunes the rows of a suite: plans their trials, reads the scores, and plans the cells with the best values.

Trials hold images out and never see a test image, so no test label can reach a choice. Rows are tuned one after the other,
as many at once as keep the workers busy, so that an interrupted run has finished rows. What is planned next depends on
scores alone, so that a run goes on where it stopped, on any number of workers.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ltbench.core.words import counted
from ltbench.executor import Context
from ltbench.planning.cell_templates import AddedCell, Wanted
from ltbench.planning.combinations import Combination, LeftOut, suite_combinations
from ltbench.planning.grid import chosen_rows
from ltbench.planning.plan import Plan
from ltbench.planning.planner import Planner
from ltbench.planning.selection import Compared, fitted_to_held_out, held_out_metric
from ltbench.planning.settings import Setting
from ltbench.records.from_store import valid_record
from ltbench.records.record import validate
from ltbench.records.tuning_file import Trial, TunedRow, best_trial
from ltbench.suite.recipe import recipe_spec
from ltbench.suite.suite import Suite, changed
from ltbench.suite.tuning import SHARE
from ltbench.tuning.proposals import Proposals
from ltbench.tuning.space import Space

_PER_WORKER = 4
"""Rows are tuned together until there are this many trials for each worker."""


class TuningPart(NamedTuple):
    """A part of the plan of a tuned suite."""

    plan: Plan
    about: str
    """What it is, for the progress of a run."""
    is_trial: bool
    """Whether its cells are trials instead of rows with the chosen values."""


class _Row:
    """A row at the imbalance factor at which it is tuned, with its trials so far."""

    def __init__(self, combination: Combination, setting: Setting, proposals: Proposals) -> None:
        self.combination, self.setting, self.proposals = combination, setting, proposals
        self.cells: list[list[AddedCell]] = []
        self.scores: list[float | None] = []
        self.lacks = False
        """Whether a trial has no record, because the run was stopped."""
        self.failed = False
        """Whether a trial failed."""


class Tuner:
    """Tunes the rows of a suite with `[tune]`."""

    def __init__(self, suite: Suite, context: Context, only: Sequence[Combination] | None = None) -> None:
        """only: the rows to tune; by default all rows of the suite."""
        assert suite.tune is not None
        self._tuning, self._context = suite.tune, context
        self._suite, self._only = changed(suite, tune=None), only
        self._recipe = suite.recipe.resolved()
        self.held_out = suite.tune.held_out or suite.held_out or SHARE
        """Share of the training images that trials hold out."""
        registry, root = context.registry, context.data_root
        self._final = Planner(self._suite, registry, root)
        self._trials = Planner(changed(self._suite, held_out=self.held_out), registry, root, trials=suite.tune.seeds)
        self.tuned: list[TunedRow] = []
        """What was chosen so far."""
        self.notes: list[str] = []
        """Rows and parameters that are not tuned, with the reason."""

    def parts(self, workers: int) -> Iterator[TuningPart]:
        """Yield the parts of the plan; each has to be run before the next one is asked for.

        workers: how many to keep busy by tuning rows together; 0 to tune one row after the other.
        """
        rows = self._rows()
        while group := self._group(rows, workers):
            while asked := [row for row in group if not row.lacks and self._ask(row)]:
                yield TuningPart(self._trials.take(more=True), self._about(asked), is_trial=True)
                for row in asked:
                    self._read(row)
            found = [self._choose(row) for row in group if not row.lacks]
            if any(found):
                yield TuningPart(self._final.take(more=True), f"tuned rows: {self._names(group)}", is_trial=False)

    def first_trials(self) -> tuple[Plan, int]:
        """Return the trials that depend on no score, and the number of rows to tune."""
        rows = list(self._rows())
        for row in rows:
            self._ask(row)
        return self._trials.take(more=False), len(rows)

    def _rows(self) -> Iterator[_Row]:
        rows: Iterable[Combination | LeftOut] | None = self._only
        if rows is None:
            chosen = chosen_rows(self._suite, self._context.registry, self._final, left_out=False)
            rows = suite_combinations(self._suite, self._context.registry, chosen)
        for combination in rows:
            if isinstance(combination, LeftOut):
                continue
            if posthoc := fitted_to_held_out(combination):
                self.notes.append(
                    f"{combination.label} is not tuned: {posthoc} is fitted to the images on which trials are compared"
                )
                continue
            space = Space(combination, self._recipe, self._tuning)
            self.notes += [note for note in space.notes if note not in self.notes]
            for setting in self._tuned_settings():
                yield _Row(combination, setting, Proposals(space, self._tuning))

    def _tuned_settings(self) -> Iterable[Setting]:
        if self._tuning.at == "each factor":
            return self._trials.settings
        largest: dict[object, Setting] = {}
        for setting in self._trials.settings:
            largest.setdefault(_data_of(setting), setting)
            if setting.labels["imbalance_factor"] > largest[_data_of(setting)].labels["imbalance_factor"]:
                largest[_data_of(setting)] = setting
        return largest.values()

    def _names(self, rows: Iterable[_Row]) -> str:
        tuned = list(self._tuned_settings())
        return "; ".join(f"{row.combination.label}{_where(row.setting, tuned)}" for row in rows)

    def _about(self, rows: list[_Row]) -> str:
        trials = sum(len(row.cells) - len(row.scores) for row in rows)
        return f"{counted(trials, 'trial')} of {self._names(rows)}"

    def _group(self, rows: Iterator[_Row], workers: int) -> list[_Row]:
        return list(itertools.islice(rows, max(math.ceil(_PER_WORKER * workers / self._tuning.trials), 1)))

    def _ask(self, row: _Row) -> bool:
        """Plan the next trials of a row; return whether there are any."""
        points = row.proposals.batch()
        row.cells += [self._trials.add(point.combination, Wanted(point.recipe, [row.setting])) for point in points]
        return bool(points)

    def _read(self, row: _Row) -> None:
        """Read the scores of all trials of a row."""
        metric = self._metric_of(row.setting)
        row.scores = []
        for cells in row.cells:
            records = [valid_record(cell.key, self._context.store) for cell in cells]
            row.lacks |= None in records
            row.failed |= any(record is not None and record["status"] == "failed" for record in records)
            scores = [validate(record).score(metric.name) for record in records if record is not None]
            known = [score for score in scores if score is not None]
            row.scores.append(math.fsum(known) / len(known) if known and len(known) == len(cells) else None)
        sign = 1 if metric.higher_is_better else -1
        row.proposals.tell([None if score is None else sign * score for score in row.scores])

    def _metric_of(self, setting: Setting) -> Compared:
        return held_out_metric(self._suite.metric, setting.info.test_counts, self._context.registry)

    def _choose(self, row: _Row) -> bool:
        """Choose the best trial of a row, and plan its cells as the suite trains them; return whether one succeeded."""
        metric = self._metric_of(row.setting)
        best = best_trial(row.scores, higher_is_better=metric.higher_is_better)
        if best is None:
            if any(row.cells):
                why = "every trial failed" if row.failed else f"{metric.number} is undefined on the held-out images"
                at = f"imbalance factor {row.setting.labels['imbalance_factor']:g}"
                self.notes.append(f"{row.combination.label} is not tuned at {at}: {why}")
            return False
        point = row.proposals.trials[best]
        trials = [
            Trial(values=one.values, cells=[cell.key for cell in cells], score=score)
            for one, cells, score in zip(row.proposals.trials, row.cells, row.scores, strict=True)
        ]
        for setting in self._final.settings:
            at = setting.labels["imbalance_factor"]
            tuned_at = row.setting.labels["imbalance_factor"]
            if _data_of(setting) != _data_of(row.setting) or (self._tuning.at == "each factor" and at != tuned_at):
                continue
            defaults = self._final.add(row.combination, Wanted(self._recipe, [setting]))
            self.tuned.append(
                TunedRow(
                    **_data_of(setting)._asdict(),
                    imbalance_factor=at,
                    tuned_at=tuned_at,
                    combination=row.combination.stated,
                    recipe=recipe_spec(self._recipe),
                    metric=metric.name,
                    higher_is_better=metric.higher_is_better,
                    held_out=row.setting.data["held_out"],
                    sampler=self._tuning.sampler,
                    asked=self._tuning.trials,
                    trials=trials,
                    chosen=best,
                    cells=[cell.key for cell in self._final.add(point.combination, Wanted(point.recipe, [setting]))],
                    passes=math.fsum(cell.passes for cells in row.cells for cell in cells),
                    passes_of_row=math.fsum(cell.passes for cell in defaults),
                )
            )
        return True


class _Data(NamedTuple):
    dataset: str
    profile: str
    model: str


def _data_of(setting: Setting) -> _Data:
    return _Data(*(setting.labels[field] for field in _Data._fields))


def _where(setting: Setting, tuned: Iterable[Setting]) -> str:
    """Return what tells a setting from the others in which rows are tuned, in brackets; empty if there is one."""
    others = [each.labels for each in tuned]
    words = [str(setting.labels[field]) for field in _Data._fields if len({labels[field] for labels in others}) > 1]
    if len({labels["imbalance_factor"] for labels in others}) > 1:
        words.append(f"imbalance factor {setting.labels['imbalance_factor']:g}")
    return f" ({', '.join(words)})" if words else ""
