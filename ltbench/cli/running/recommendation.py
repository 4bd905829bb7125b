"""The answer of `ltbench recommend`, from the records of its page and the predictions in the store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
import numpy as np

from ltbench.advice.answer import Answer, Chosen, html, markdown, score_in_words, sentences
from ltbench.advice.growth import Gain, gains
from ltbench.advice.pooled import Pooled, Score
from ltbench.confusion import Confusion
from ltbench.core.row_labels import BASELINE
from ltbench.costs import cost_column, is_cost, mean_cost
from ltbench.errors import StoreError
from ltbench.jobs.saved_predictions import StorePredictions, predictions_of
from ltbench.leaderboard.publish import read_folder
from ltbench.planning.selection import test_metric
from ltbench.records.written_files import write_atomic
from ltbench.stages import Dataset, Metric, Model

if TYPE_CHECKING:
    from ltbench.columns import Column
    from ltbench.executor import Context, Techniques
    from ltbench.planning.selection import Compared
    from ltbench.records.record import Record
    from ltbench.stages import DatasetInfo, FloatArray, IntArray
    from ltbench.suite.suite import Suite

FILE, HTML = "RECOMMENDATION.md", "recommendation.html"
CHOICE = "the choice of each fold"
"""The row of what each fold chose on images of its own training part."""


class Choice(NamedTuple):
    """A combination, on the features of a frozen network, or with the whole network fine-tuned."""

    combination: str
    is_fine_tuned: bool = False

    @property
    def row(self) -> str:
        """Its name on the page."""
        return f"{self.combination} (fine-tuned)" if self.is_fine_tuned else self.combination


class Tested:
    """What was tested in each fold, and what follows from it."""

    def __init__(
        self, folder: Path, suite: Suite, chosen: Mapping[str, Choice], context: Context, metric: str,
        *, more: Sequence[Record] = (), note: str = "",
    ) -> None:  # fmt: skip
        """folder: of the leaderboard; chosen: data set -> what is chosen there; more: records that are on no page."""
        registry = context.registry
        self._datasets = {label: registry.parse(label, Dataset.stage) for label in suite.datasets}
        self._infos = {
            label: one.info(context.data_root) for label, one in self._datasets.items() if isinstance(one, Dataset)
        }
        self._folder, self._suite, self._chosen, self._context = folder, suite, chosen, context
        self._note = note
        self._info = next(iter(self._infos.values()))
        counts = np.sum([each.test_counts for each in self._infos.values()], axis=0)
        self._compared = test_metric(metric or suite.metric, counts.tolist(), registry)
        self._by_default = not (metric or suite.metric)
        self._score = _score(self._compared, self._info, registry)
        records = [*read_folder(folder)[1].records, *more]
        self._pooled = self._pool(record for record in records if record.status == "ok" and self._is_of_these(record))
        self.best = self._best()
        """What is recommended."""

    @cached_property
    def _answer(self) -> Answer:
        info = self._info
        return Answer(
            classes=info.classes,
            images=tuple(map(int, np.add(info.train_counts, info.test_counts if len(self._infos) > 1 else 0))),
            folds=len(self._infos),
            model=self._suite.models[0],
            column=_column(self._compared, self._context.registry),
            balanced_by_default=self._by_default,
            chosen=[Chosen(fold, choice.row) for fold, choice in enumerate(self._chosen.values(), 1)],
            best=self.best.row,
            baseline=BASELINE,
            choice=CHOICE,
            note=self._note,
            found=[] if info.report is None else [info.report.summary(), *info.report.remarks()],
        )

    def _is_of_these(self, record: Record) -> bool:
        """Whether a record is of the images as they are now: a page may have some of those before a change."""
        info = self._infos.get(record.setting.dataset)
        return info is not None and record.fingerprint == info.fingerprint

    def write(self, fewer: Sequence[Sequence[Record]], say: Callable[[str], object]) -> Path:
        """Write the page beside the leaderboard, say the answer in a few lines, and return the page.

        fewer: records of the recommended row with smaller parts of the images of each class.
        """
        answer = self._answer.with_gains(self._gains(fewer))
        page = markdown(answer, self._pooled)
        for name, text in ((FILE, page), (HTML, html(page))):
            write_atomic(self._folder / name, text.encode())
        for line in sentences(answer, self._pooled):
            say(line)
        click.echo(f"written: {self._folder / FILE}, {HTML}", err=True)
        return self._folder / FILE

    def promise(self) -> str:
        """Return what can be expected of a model that is trained on all images, in a sentence."""
        row = CHOICE if CHOICE in self._pooled.rows else self.best.row
        how = f"a cross-validation with {len(self._infos)} folds" if len(self._infos) > 1 else "a test"
        return (
            f"Chosen by ltbench recommend. In {how}, what was chosen in this way had {score_in_words(self._answer, self._pooled, row)} "
            "on images that the choice had not seen, with its 95 % interval."
        )

    def _gains(self, fewer: Sequence[Sequence[Record]]) -> list[Gain]:
        parts = [[one for one in records if Choice(one.label).row == self.best.row] for records in fewer]
        parts = [records for records in parts if {one.setting.dataset for one in records} >= self._infos.keys()]
        if not parts:
            return []
        whole = np.sum([info.train_counts for info in self._infos.values()], axis=0) // len(self._infos)
        counts = [np.mean([one.data["counts"] for one in records], axis=0).astype(np.int64) for records in parts]
        recalls = [self._pool(records).recalls(self.best.row) for records in parts]
        support = np.bincount(self._pooled.labels, minlength=len(self._info.classes))
        return gains([*counts, whole], [*recalls, self._pooled.recalls(self.best.row)], support, self._answer.images)

    def _best(self) -> Choice:
        """Return what most folds chose; of several, the one with the best score. Plain training, if choosing gained nothing."""
        sign = 1 if self._compared.higher_is_better else -1

        def gains(row: str) -> bool:
            return sign * self._pooled.difference(row, BASELINE).value > 0

        there = [one for one in self._chosen.values() if one.row in self._pooled.rows and gains(one.row)]
        if not there or (CHOICE in self._pooled.rows and not gains(CHOICE)):
            return Choice(BASELINE)
        return max(there, key=lambda choice: (there.count(choice), sign * self._pooled.score(choice.row).value))

    def _pool(self, records: Iterable[Record]) -> Pooled:
        """Return the predictions of all rows that were tested in every fold.

        Rows whose predictions are not in the store, as they are of an earlier run, are left out. Raises `StoreError` if
        one is needed.
        """
        stored, registry = StorePredictions(self._context.store), self._context.registry
        tables: dict[str, dict[str, dict[int, FloatArray]]] = {}
        labels: dict[str, IntArray] = {}
        needed = {BASELINE, *(choice.row for choice in self._chosen.values())}
        for record in records:
            model = registry.parse(record.setting.model, Model.stage)
            row = Choice(record.label, is_fine_tuned=isinstance(model, Model) and not model.is_frozen).row
            found = predictions_of(record, registry, stored)
            if found is None:
                if row in needed:
                    raise StoreError(
                        f"the predictions of cell {record.id} are not in the store", fix="run the command again"
                    )
                continue
            test = found["test"]
            labels[record.setting.dataset] = test.labels
            tables.setdefault(row, {}).setdefault(record.setting.dataset, {})[record.setting.seed] = test.probabilities
        whole = {row: of for row, of in tables.items() if of.keys() >= self._infos.keys()}
        if all(data in tables.get(choice.row, {}) for data, choice in self._chosen.items()):
            whole[CHOICE] = {data: tables[choice.row][data] for data, choice in self._chosen.items()}
        return Pooled(
            np.concatenate([labels[data] for data in self._infos]),
            {row: _joined([of[data] for data in self._infos]) for row, of in whole.items()},
            self._score,
            self._units,
        )

    @cached_property
    def _units(self) -> IntArray | None:
        """The unit of each test image of all folds: what it stays together with; None if every image is one."""
        first = next(iter(self._datasets.values()))
        whole = first.whole() if isinstance(first, Dataset) else None
        root = self._context.data_root
        if whole is None or not whole.info(root).train_units:
            return None
        images = whole.load(root)
        # Images with the same pixels are of one unit, so pixels tell the unit of an image in any fold.
        unit_of = {image.tobytes(): unit for image, unit in zip(images.train_images, images.train_units, strict=True)}
        folds = [one.load(root).test_images for one in self._datasets.values() if isinstance(one, Dataset)]
        return np.array([unit_of[image.tobytes()] for fold in folds for image in fold], np.int64)


def check_metric(metric: str, info: DatasetInfo, registry: Techniques) -> None:
    """Raise `UsageError` for a metric that is not known, or costs that do not go with the classes, before anything is run."""
    compared = test_metric(metric, info.test_counts, registry)
    classes = len(info.classes)
    _score(compared, info, registry)(np.eye(classes), np.arange(classes))


def _score(compared: Compared, info: DatasetInfo, registry: Techniques) -> Score:
    counts = np.asarray(info.train_counts, np.int64)
    if is_cost(compared.number):

        def cost(probabilities: FloatArray, labels: IntArray) -> float:
            confusion = Confusion.of(labels, probabilities.argmax(1), len(counts))
            value = mean_cost(confusion, info.classes, compared.number)
            return float("nan") if value is None else value

        return cost
    metric = registry.build_as(compared.technique, Metric)

    def score(probabilities: FloatArray, labels: IntArray) -> float:
        value = metric.compute(probabilities, labels, counts)[compared.number]
        return float(value) if isinstance(value, int | float) else float("nan")

    return score


def _column(compared: Compared, registry: Techniques) -> Column:
    if is_cost(compared.number):
        return cost_column(compared.number)
    metric = registry.build_as(compared.technique, Metric)
    return next(column for column in metric.columns if column.name == compared.number)


def _joined(folds: Sequence[Mapping[int, FloatArray]]) -> list[FloatArray]:
    """Return a table of all images for each seed that all folds have."""
    seeds = sorted(set.intersection(*(set(fold) for fold in folds)))
    return [np.concatenate([fold[seed] for fold in folds]) for seed in seeds]
