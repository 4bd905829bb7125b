"""The section on tuning: what was chosen, what it brought and cost, and how much of a technique's advantage it is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ltbench.columns import Column, Unit
from ltbench.core.row_labels import BASELINE, row_label
from ltbench.core.units import big_number
from ltbench.core.words import counted
from ltbench.leaderboard.statistics.ranking import words_of
from ltbench.leaderboard.statistics.record_groups import RecordGroup
from ltbench.leaderboard.tables.cell_text import number_text, place_text, points, signed
from ltbench.leaderboard.tables.markdown import details, escape, plain_table
from ltbench.leaderboard.tuned_rows import tuned_label
from ltbench.records.comparability import TUNED
from ltbench.records.record import combination_order
from ltbench.records.tuning_file import TunedRow
from ltbench.stages import TECHNIQUE_STAGES
from ltbench.technique import written

_Seeds = tuple[int, int]
_NAMED = 5
"""Rows that a sentence names."""
_READING = (
    "*held-out*: the mean of the trial over its seeds on the images that the trials held out, first of the defaults, then of "
    "the best trial. *test*: the means of both rows on test images, trained on {trained_on}. *promised* and "
    "*delivered*: their differences. The best of many trials is partly the luckiest one, so less is delivered than "
    "promised on average. *trials*: what they cost, in trainings of the row with one seed."
)


class _Outcome(NamedTuple):
    """What tuning a row at one factor brought."""

    row: TunedRow
    label: str
    default: Mapping[_Seeds, float]
    """Scores on test images, with the defaults, by seeds."""
    tuned: Mapping[_Seeds, float]
    unit: Unit
    """The unit of all numbers."""

    @property
    def is_there(self) -> bool:
        """Whether its trials were at its own imbalance factor."""
        return self.row.tuned_at == self.row.imbalance_factor

    @property
    def promised(self) -> float | None:
        first, best = self.row.trials[0].score, self.row.best.score
        return None if first is None or best is None or not self.is_there else self._better(best - first)

    @property
    def delivered(self) -> float | None:
        return self.gain(self.default, self.tuned)

    def gain(self, one: Mapping[_Seeds, float], other: Mapping[_Seeds, float]) -> float | None:
        """Return how much better the second scores are, over the seeds that both have."""
        both = one.keys() & other.keys()
        return self._better(math.fsum(other[seeds] - one[seeds] for seeds in both) / len(both)) if both else None

    def _better(self, difference: float) -> float:
        return difference if self.row.higher_is_better else -difference


def tuning_lines(tuned: Sequence[TunedRow], groups: Sequence[RecordGroup], columns: Iterable[Column] = ()) -> list[str]:
    """Return the section on the tuned rows of a page; nothing if there are none.

    groups: of the records of the page; columns: how its numbers are shown.
    """
    ordered = sorted(tuned, key=lambda row: (row.imbalance_factor, combination_order(_techniques(row))))
    outcomes = [outcome for group in groups for outcome in _outcomes(ordered, group)]
    if not outcomes:
        return []
    lines = ["## Tuning", "", " ".join([_summary(outcomes, columns), *_not_tuned(outcomes, groups)]), ""]
    by_place: dict[tuple[str, str, str, float], list[_Outcome]] = {}
    for outcome in outcomes:
        row = outcome.row
        by_place.setdefault((row.dataset, row.profile, row.model, row.imbalance_factor), []).append(outcome)
    several = len({place[:3] for place in by_place}) > 1
    for (*names, at), found in by_place.items():
        where = ", ".join([*(map(str, names) if several else ()), place_text(float(at), {})])
        lines += [f"### {escape(where[0].upper() + where[1:])}: tuning", "", *_advantages(found)]
        tuned_at = {one.row.tuned_at for one in found if not one.is_there}
        trials = ", ".join(
            [f"Trials of {counted(len(found), 'row')}", *(place_text(one, {}) for one in sorted(tuned_at))]
        )
        lines += [*details(trials, _table(found)), ""]
    return [*lines, _READING.format(trained_on=_trained_on(groups)), ""]


def _trained_on(groups: Sequence[RecordGroup]) -> str:
    # A validation split is no part of the subset.
    held_out = {group.fixed.get("data", {}).get("held_out", 0.0) for group in groups}
    shares = sorted(share for share in held_out if isinstance(share, float) and share)
    if not shares:
        return "the whole subset"
    return f"the subset without the {' or '.join(f'{100 * share:g}' for share in shares)} % that rows of this page hold out"


def _outcomes(tuned: Sequence[TunedRow], group: RecordGroup) -> Iterator[_Outcome]:
    scores: dict[tuple[float, tuple[tuple[str, str], ...]], dict[_Seeds, float]] = {}
    for record in group.records:
        if (score := record.score(group.ranking.name)) is not None:
            scores.setdefault((record.setting.imbalance_factor, record.techniques), {})[record.seeds] = score
    for row in tuned:
        if (row.dataset, row.profile, row.model, row.recipe) != (
            group.dataset,
            group.profile,
            group.model,
            group.recipe,
        ):
            continue
        techniques = _techniques(row)
        default = scores.get((row.imbalance_factor, techniques), {})
        best = scores.get((row.imbalance_factor, (*techniques, (TUNED, tuned_label(row)))), {})
        yield _Outcome(row, row_label(label for _, label in techniques), default, best, group.ranking.unit)


def _techniques(row: TunedRow) -> tuple[tuple[str, str], ...]:
    return tuple((stage, label) for stage in TECHNIQUE_STAGES if (label := row.combination.get(stage)))


def _summary(outcomes: Sequence[_Outcome], columns: Iterable[Column]) -> str:
    rows = [outcome.row for outcome in outcomes]
    spent, plain = math.fsum(_own_trials(rows)), math.fsum(row.passes_of_row for row in rows)
    metric = words_of(rows[0].metric, columns)
    share = rows[0].held_out
    held = (
        "the validation split"
        if isinstance(share, str)
        else f"{100 * share:g} % of the training images of each class (at least one, but never its only one)"
    )
    text = (
        f"{_number_of_trials(rows)} Trials were compared by {metric} on {held}, "
        f"never on test images. Without sharing they cost {big_number(spent)} forward passes of an image, {spent / plain:.1f} times "
        "as much as the rows with the defaults and all seeds."
    )
    both = [(o.promised, o.delivered) for o in outcomes if o.promised is not None and o.delivered is not None]
    if both:
        unit = outcomes[0].unit
        promised, delivered = (math.fsum(side) / len(both) for side in zip(*both, strict=True))
        where = "" if all(outcome.is_there for outcome in outcomes) else "At the imbalance factor of the trials, "
        text += (
            f" {where}{'on' if where else 'On'} held-out images the chosen values were {_gain(promised, unit)}{points(unit)} better than the defaults on average, on "
            f"test images {_gain(delivered, unit)}: {_gain(promised - delivered, unit)}{points(unit)} were optimism."
        )
    return text


def _number_of_trials(rows: Sequence[TunedRow]) -> str:
    numbers = {len(row.trials) for row in rows}
    if len(numbers) == 1:
        text = f"Each row had {counted(numbers.pop(), 'trial')}, the first one with the defaults."
    else:
        text = f"Rows had {min(numbers)} to {counted(max(numbers), 'trial')}, the first one with the defaults."
    if any(len(row.trials) < row.asked for row in rows):
        text += f" Those with fewer than {max(row.asked for row in rows)} have no other values."
    failed = {tuple(trial.cells) for row in rows for trial in row.trials if trial.score is None}
    return text + (f" {counted(len(failed), 'trial')} had no score." if failed else "")


def _not_tuned(outcomes: Sequence[_Outcome], groups: Sequence[RecordGroup]) -> Iterator[str]:
    """Yield which rows of the page were not tuned, because the run was stopped or a note of the run says why."""
    tuned = {outcome.label for outcome in outcomes}
    rows = dict.fromkeys(
        record.label for group in groups for record in group.records if TUNED not in record.combination
    )
    missing = [label for label in rows if label not in tuned]
    if missing:
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        named = ", ".join(escape("the baseline" if label == BASELINE else label) for label in missing[:_NAMED])
        yield f"{len(missing)} of {counted(len(rows), 'row')} {'was' if len(missing) == 1 else 'were'} not tuned: {named}{more}."


def _own_trials(rows: Iterable[TunedRow]) -> Iterator[float]:
    """Yield the cost of the trials; those at one factor count once, though several rows use them."""
    seen = set()
    for row in rows:
        cells = tuple(cell for trial in row.trials for cell in trial.cells)
        if cells not in seen:
            seen.add(cells)
            yield row.passes


def _table(outcomes: Sequence[_Outcome]) -> list[str]:
    head = ["row", "chosen values", "held-out", "promised", "test", "delivered", "trials"]
    lines = []
    for one in outcomes:
        row, seeds = one.row, max(len(one.row.cells), 1)
        lines.append([
            escape(one.label),
            escape(", ".join(f"{name}={written(value)}" for name, value in row.best.values.items())) or "the defaults",
            f"{_score(row.trials[0].score, one.unit)} → {_score(row.best.score, one.unit)}",
            _gain(one.promised, one.unit),
            f"{_score(_mean(one.default), one.unit)} → {_score(_mean(one.tuned), one.unit)}",
            _gain(one.delivered, one.unit),
            f"{row.passes * seeds / row.passes_of_row:.1f}" if row.passes_of_row else "n/a",
        ])  # fmt: skip
    return plain_table(head, lines, right=(3, 5, 6))


def _advantages(outcomes: Sequence[_Outcome]) -> list[str]:
    """Return what techniques are better by than the baseline, with the defaults and tuned."""
    base = next((one for one in outcomes if one.label == BASELINE), None)
    if base is None:
        return []
    unit = base.unit
    known: dict[str, list[float]] = {}
    for one in outcomes:
        pairs = ((base.default, one.default), (base.default, one.tuned), (base.tuned, one.tuned))
        differences = [found for pair in pairs if (found := one.gain(*pair)) is not None]
        if one is not base and len(differences) == len(pairs):
            known[one.label] = differences
    if not known:
        return []
    head = ["better than the baseline by", "both with defaults", "only the row tuned", "both tuned"]
    lines = [[escape(label), *(_gain(one, unit) for one in differences)] for label, differences in known.items()]
    unfair, fair = (math.fsum(each[column] for each in known.values()) / len(known) for column in (1, 2))
    text = (
        f"A comparison of tuned rows with a baseline that is not would report {_gain(unfair, unit)}{points(unit)} on average. With the "
        f"baseline tuned as well it is {_gain(fair, unit)}: "
    )
    if unfair > fair:
        share = f", {100 * (1 - fair / unfair):.0f} % of the advantage," if fair >= 0 else ""
        text += (
            f"{number_text(unfair - fair, unit)}{points(unit)}{share} would be nothing but the tuning of the baseline."
        )
    else:
        text += "tuning brings the baseline nothing."
    table = plain_table(head, lines, right=(1, 2, 3))
    return [text, "", *details("Differences to the baseline, with the defaults and tuned", table), ""]


def _mean(scores: Mapping[_Seeds, float]) -> float | None:
    return math.fsum(scores.values()) / len(scores) if scores else None


def _score(score: float | None, unit: Unit) -> str:
    return "n/a" if score is None else number_text(score, unit)


def _gain(difference: float | None, unit: Unit) -> str:
    return "n/a" if difference is None else signed(difference, unit)
