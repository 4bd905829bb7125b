"""The answer of `ltbench recommend`, from the records of its page and the predictions in the store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from ltbench.advice.answer import Answer, Chosen, html, markdown, sentences
from ltbench.advice.growth import Gain, gains
from ltbench.advice.pooled import Pooled, Score
from ltbench.errors import StoreError
from ltbench.jobs.saved_predictions import StorePredictions, predictions_of
from ltbench.leaderboard.publish import read_folder
from ltbench.planning.selection import test_metric
from ltbench.records.written_files import write_atomic
from ltbench.stages import Dataset, Metric

if TYPE_CHECKING:
    from ltbench.executor import Context, Techniques
    from ltbench.planning.selection import Compared
    from ltbench.records.record import Record
    from ltbench.stages import DatasetInfo, FloatArray, IntArray
    from ltbench.suite.suite import Suite

Row = tuple[str, ...]
"""The labels of the techniques of a row."""
FILE, HTML = "RECOMMENDATION.md", "recommendation.html"
BASELINE = ""
CHOICE = "the choice of each fold"
"""The row of what each fold chose on images of its own training part."""


class Tested:
    """What was tested in each fold, and what follows from it."""

    def __init__(self, folder: Path, suite: Suite, chosen: Mapping[str, Row], context: Context, metric: str) -> None:
        """folder: of the leaderboard; chosen: data set -> the techniques of the row that its race chose."""
        registry = context.registry
        datasets = [registry.parse(label, "dataset") for label in suite.datasets]
        self._infos = {one.label: one.info(context.data_root) for one in datasets if isinstance(one, Dataset)}
        self._folder, self._suite, self._chosen, self._context = folder, suite, chosen, context
        self._info = next(iter(self._infos.values()))
        counts = np.sum([each.test_counts for each in self._infos.values()], axis=0)
        self._compared = test_metric(metric or suite.metric, counts.tolist(), registry)
        self._by_default = not (metric or suite.metric)
        self._scored = _score(self._compared, self._info, registry)
        self._pooled = self._pool(r for r in read_folder(folder)[1].records if r.status == "ok")
        self.best = _best(self._pooled, chosen)
        """The name of the recommended row."""

    def write(self, fewer: Sequence[tuple[IntArray, Sequence[Record]]]) -> None:
        """Write the page beside the leaderboard, and print the answer in a few lines.

        fewer: training images of each class in smaller subsets, and the records of the recommended row with them.
        """
        info = self._info
        answer = Answer(
            classes=info.classes,
            images=tuple(int(a + b) for a, b in zip(info.train_counts, info.test_counts, strict=True)),
            folds=len(self._infos),
            model=self._suite.models[0],
            metric=self._compared.number,
            higher_is_better=self._compared.higher_is_better,
            balanced_by_default=self._by_default,
            chosen=[Chosen(fold, " + ".join(row) or "baseline") for fold, row in enumerate(self._chosen.values(), 1)],
            best=self.best,
            baseline=BASELINE,
            choice=CHOICE,
            gains=self._gains(fewer),
        )
        page = markdown(answer, self._pooled)
        for name, text in ((FILE, page), (HTML, html(page))):
            write_atomic(self._folder / name, text.encode())
        for line in sentences(answer, self._pooled):
            click.echo(line)
        click.echo(f"written: {self._folder / FILE}, {HTML}", err=True)

    def _gains(self, fewer: Sequence[tuple[IntArray, Sequence[Record]]]) -> list[Gain]:
        if not fewer:
            return []
        whole = np.sum([info.train_counts for info in self._infos.values()], axis=0) // len(self._infos)
        recalls = [self._pool(records).recalls(self.best) for _, records in fewer]
        support = np.bincount(self._pooled.labels, minlength=len(self._info.classes))
        return gains([*(counts for counts, _ in fewer), whole], [*recalls, self._pooled.recalls(self.best)], support)

    def _pool(self, records: Iterable[Record]) -> Pooled:
        return _pooled(records, list(self._infos), self._chosen, self._context, self._scored)


def _score(compared: Compared, info: DatasetInfo, registry: Techniques) -> Score:
    metric = registry.build_as(compared.technique, Metric)
    counts = np.asarray(info.train_counts, np.int64)

    def score(probabilities: FloatArray, labels: IntArray) -> float:
        value = metric.compute(probabilities, labels, counts)[compared.number]
        return float(value) if isinstance(value, int | float) else float("nan")

    return score


def _pooled(
    records: Iterable[Record], datasets: Sequence[str], chosen: Mapping[str, Row], context: Context, score: Score
) -> Pooled:  # fmt: skip
    """Return the predictions of all rows that were tested in every fold. Raises `StoreError` if one is not in the store."""
    stored = StorePredictions(context.store)
    tables: dict[str, dict[str, dict[int, FloatArray]]] = {}
    labels: dict[str, IntArray] = {}
    for record in records:
        found = predictions_of(record, context.registry, stored)
        if found is None:
            raise StoreError(f"the predictions of cell {record.id} are not in the store", fix="run the command again")
        row = " + ".join(label for stage, label in record.techniques)
        test = found["test"]
        labels[record.setting.dataset] = test.labels
        tables.setdefault(row, {}).setdefault(record.setting.dataset, {})[record.setting.seed] = test.probabilities
    whole = {row: of for row, of in tables.items() if of.keys() >= set(datasets)}
    if all(_is_in(row, tables) for row in chosen.values()):
        whole[CHOICE] = {data: tables[_label(row, tables)][data] for data, row in chosen.items()}
    return Pooled(
        np.concatenate([labels[data] for data in datasets]),
        {row: _joined([of[data] for data in datasets]) for row, of in whole.items()},
        score,
    )


def _label(row: Row, names: Iterable[str]) -> str:
    """Return the name under which the records have a row: its techniques in the order of stages."""
    return next(name for name in names if set(name.split(" + ") if name else []) == set(row))


def _joined(folds: Sequence[Mapping[int, FloatArray]]) -> list[FloatArray]:
    """Return a table of all images for each seed that all folds have."""
    seeds = sorted(set.intersection(*(set(fold) for fold in folds)))
    return [np.concatenate([fold[seed] for fold in folds]) for seed in seeds]


def _best(pooled: Pooled, chosen: Mapping[str, Row]) -> str:
    """Return the row that most folds chose; of several, the one with the best score."""
    names = [_label(row, pooled.rows) for row in chosen.values() if _is_in(row, pooled.rows)]
    return max(pooled.rows, key=lambda row: (names.count(row), pooled.score(row).value)) if names else BASELINE


def _is_in(row: Row, names: Iterable[str]) -> bool:
    return any(set(name.split(" + ") if name else []) == set(row) for name in names)
