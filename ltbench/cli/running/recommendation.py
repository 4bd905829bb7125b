"""The answer of `ltbench recommend`, from the records of its page and the predictions in the store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from ltbench.advice.answer import Answer, Chosen, markdown, sentences
from ltbench.advice.pooled import Pooled, Score
from ltbench.core.atomic_files import write
from ltbench.errors import StoreError
from ltbench.jobs.saved_predictions import StorePredictions, predictions_of
from ltbench.leaderboard.publish import read_folder
from ltbench.planning.selection import test_metric
from ltbench.stages import Dataset, Metric

if TYPE_CHECKING:
    from ltbench.executor import Context, Techniques
    from ltbench.planning.selection import Compared
    from ltbench.records.record import Record
    from ltbench.stages import DatasetInfo, FloatArray, IntArray
    from ltbench.suite.suite import Suite

FILE = "RECOMMENDATION.md"
BASELINE = ""
CHOICE = "the choice of each fold"
"""The row of what each fold chose on images of its own training part."""


def write_answer(
    folder: Path, suite: Suite, chosen: Mapping[str, tuple[str, ...]], context: Context, metric: str
) -> int:
    """Write the page beside the leaderboard of `folder` and print the answer in a few lines; return the exit code.

    chosen: data set -> the techniques of the row that its race chose.
    """
    registry = context.registry
    datasets = [registry.parse(label, "dataset") for label in suite.datasets]
    infos = {one.label: one.info(context.data_root) for one in datasets if isinstance(one, Dataset)}
    info = next(iter(infos.values()))
    counts = np.sum([each.test_counts for each in infos.values()], axis=0)
    compared = test_metric(metric or suite.metric, counts.tolist(), registry)
    records = [record for record in read_folder(folder)[1].records if record.status == "ok"]
    pooled = _pooled(records, list(infos), chosen, context, _score(compared, info, registry))
    best = _best(pooled, chosen)
    answer = Answer(
        classes=info.classes,
        images=tuple(int(a + b) for a, b in zip(info.train_counts, info.test_counts, strict=True)),
        folds=len(infos),
        model=suite.models[0],
        metric=compared.number,
        is_share=True,
        higher_is_better=compared.higher_is_better,
        balanced_by_default=not (metric or suite.metric),
        chosen=[Chosen(fold, " + ".join(row) or "baseline") for fold, row in enumerate(chosen.values(), 1)],
        best=best,
        baseline=BASELINE,
        choice=CHOICE,
    )
    path = folder / FILE
    write(path, markdown(answer, pooled).encode())
    for line in sentences(answer, pooled):
        click.echo(line)
    click.echo(f"written: {path}", err=True)
    return 0


def _score(compared: Compared, info: DatasetInfo, registry: Techniques) -> Score:
    metric = registry.build_as(compared.technique, Metric)
    counts = np.asarray(info.train_counts, np.int64)

    def score(probabilities: FloatArray, labels: IntArray) -> float:
        value = metric.compute(probabilities, labels, counts)[compared.number]
        return float(value) if isinstance(value, int | float) else float("nan")

    return score


def _pooled(
    records: Iterable[Record], datasets: Sequence[str], chosen: Mapping[str, tuple[str, ...]], context: Context, score: Score
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
    picked = {data: tables[_label(row, tables)][data] for data, row in chosen.items()}
    if picked.keys() >= set(datasets):
        whole[CHOICE] = picked
    return Pooled(
        np.concatenate([labels[data] for data in datasets]),
        {row: _joined([of[data] for data in datasets]) for row, of in whole.items()},
        score,
    )


def _label(row: tuple[str, ...], tables: Mapping[str, object]) -> str:
    """Return the name under which the records have a row: its techniques in the order of stages."""
    return next(name for name in tables if set(name.split(" + ") if name else []) == set(row))


def _joined(folds: Sequence[Mapping[int, FloatArray]]) -> list[FloatArray]:
    """Return a table of all images for each seed that all folds have."""
    seeds = sorted(set.intersection(*(set(fold) for fold in folds)))
    return [np.concatenate([fold[seed] for fold in folds]) for seed in seeds]


def _best(pooled: Pooled, chosen: Mapping[str, tuple[str, ...]]) -> str:
    """Return the row that most folds chose; of several, the one with the best score."""
    names = [_label(row, dict.fromkeys(pooled.rows)) for row in chosen.values() if _is_in(row, pooled)]
    return max(pooled.rows, key=lambda row: (names.count(row), pooled.score(row).value)) if names else BASELINE


def _is_in(row: tuple[str, ...], pooled: Pooled) -> bool:
    return any(set(name.split(" + ") if name else []) == set(row) for name in pooled.rows)
