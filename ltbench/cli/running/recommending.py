"""The steps of `ltbench recommend`: a race in each fold, the test of what it chose, fine-tuning, the answer, and a model."""

from __future__ import annotations

import shlex
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
import msgspec

from ltbench.cli.data_lines import report_lines
from ltbench.cli.running.damage import reporting_damage
from ltbench.cli.running.finetuning import FineTuning
from ltbench.cli.running.own_images import datasets_of, suite_of
from ltbench.cli.running.part_sources import Limits, SuiteParts
from ltbench.cli.running.recommendation import FILE, HTML, Choice, Tested, check_metric
from ltbench.cli.running.search_parts import SearchParts
from ltbench.cli.running.steps import Steps
from ltbench.core.row_labels import BASELINE, techniques_of
from ltbench.errors import JobFailed, UsageError
from ltbench.suite.suite import changed

if TYPE_CHECKING:
    from ltbench.cli.running.own_images import Asked
    from ltbench.executor import Context, ExecutorOffer, Terms
    from ltbench.observer import ObserverOffer
    from ltbench.records.search_file import SearchedRow
    from ltbench.running.options import RunOptions
    from ltbench.stages import Dataset
    from ltbench.suite.suite import Suite

RACE = 0.6
"""Share of the budget for the race; the rest is for fine-tuning what it chose, if that fits."""
FINALISTS = 6
"""Rows that are tested besides the baseline."""
SHARES = (0.25, 0.5)
"""Parts of the images of each class with which the recommended row is trained, too, to see what more images bring."""
TEST_SEEDS = 3
"""Trainings of each row that is tested, in each fold."""
MODEL = "model"
"""Folder of the trained model, beside the page."""


class Recommended(NamedTuple):
    """What is recommended, and where it is written."""

    combination: str
    is_fine_tuned: bool
    page: Path
    model: Path | None
    """None if it was not asked for, or could not be trained."""


def recommend(
    asked: Asked, context: Context, offer: ExecutorOffer, terms: Terms, options: RunOptions, command: Sequence[str],
    observers: Sequence[ObserverOffer] = (), say: Callable[[str], object] = click.echo,
) -> Recommended:  # fmt: skip
    """Run the steps, write the page and the model, and say the answer.

    command: the words that the page and `ltbench status` show; observers: what watches; say: takes the lines of the answer.
    """
    from ltbench.running.observing import Observing
    from ltbench.running.run_log import RunLog

    datasets = datasets_of(asked, context)
    info = datasets[0].info(context.data_root)
    for line in report_lines(info.report, info.classes):
        click.echo(line, err=True)
    suite = suite_of(asked, datasets, context)
    check_metric(asked.compared_by or suite.metric, info, context.registry)
    click.echo(f"features of {suite.models[0]}", err=True)
    with (
        reporting_damage(context.store),
        offer.make(context, terms) as executor,
        RunLog(
            context.store,
            command=command,
            suite=suite.name,
            executor=offer.name,
            workers=executor.slots,
        ) as log,
        Observing(
            observers, context.registry.origin, context.store, run=log.run.id, suite=suite.name, command=log.run.command
        ) as observing,
    ):
        steps = Steps(asked, context, executor, options, command, log, observing)
        tested = changed(suite, held_out=0.0, techniques=[], strategy="all", seeds=list(suite.seeds[:TEST_SEEDS]))
        # Plain training first, which needs the features of all images: they are no part of the budget.
        steps.forget_other_photos(tested, (FILE, HTML, MODEL))
        steps.run(SuiteParts(tested, context), tested, "")
        steps.check_baseline(tested)
        end = time.monotonic() + asked.seconds
        race = SearchParts(suite, context, "held_out", Limits())
        steps.run(race, suite, "-race", seconds=asked.seconds * RACE)
        leaders = _leaders(race.searched.rows, suite.datasets)
        if not all(leaders.values()):
            raise UsageError(
                "nothing was chosen in the time of the budget", fix="a larger --budget; what was done is not lost"
            )
        tested = changed(tested, combinations=[techniques_of(row) for row in _finalists(leaders)])
        steps.run(SuiteParts(tested, context), tested, "")
        chosen = {dataset: Choice(rows[0]) for dataset, rows in leaders.items()}
        tuning = FineTuning(asked, suite, tested, chosen, context)
        chosen, more = tuning.run(steps, end)
        found = Tested(steps.folder(), tested, chosen, context, asked.compared_by, more=more, note=tuning.note)
        suite = tuning.suite if found.best.is_fine_tuned else tested
        row = found.best.combination
        # Of a network that is fine-tuned, that would take as long as all the rest.
        shares = () if found.best.is_fine_tuned else SHARES
        fewer = [steps.quiet(steps.plan(changed(suite, held_out=1 - share), row)) for share in shares]
        page = found.write(fewer, say)
        model = (
            _export(found, changed(suite, seeds=[suite.seeds[0]]), datasets[0], steps) if asked.is_exported else None
        )
        return Recommended(found.best.combination, found.best.is_fine_tuned, page, model)


def _leaders(rows: Sequence[SearchedRow], datasets: Sequence[str]) -> dict[str, list[str]]:
    """Return the combinations in the lead for each data set, the best one first; none if nothing but plain training was run."""
    found: dict[str, list[str]] = {}
    for dataset in datasets:
        own = [row for row in rows if row.board.startswith(f"{dataset}, ")]
        leading = [row for row in own if row.is_best or row.state == "in the lead"]
        is_compared = any(row.cells for row in own if row.combination != BASELINE)
        found[dataset] = [row.combination for row in sorted(leading, key=lambda row: not row.is_best)] * is_compared
    return found


def _finalists(leaders: dict[str, list[str]]) -> list[str]:
    """Return the combinations to test: the best of each data set, then those that lead in most of them."""
    best = [found[0] for found in leaders.values() if found]
    times = Counter(row for found in leaders.values() for row in found)
    often = sorted(times, key=lambda row: (-times[row], len(techniques_of(row)), row))
    rows = [row for row in dict.fromkeys([*best, *often[:FINALISTS]]) if row != BASELINE]
    return rows[: max(FINALISTS, len(set(best)))]


def _export(found: Tested, suite: Suite, dataset: Dataset, steps: Steps) -> Path | None:
    """Train the recommended row on all images, and write its model beside the page; return its folder."""
    from ltbench.trained_model.export import export_model

    whole = dataset.whole() or dataset
    folder = steps.folder() / MODEL
    records = steps.quiet(steps.plan(changed(suite, datasets=[whole.label]), found.best.combination))
    try:
        if not records:
            raise JobFailed("its training on all images failed", fix="the message above says why")
        record = msgspec.structs.replace(records[0], metrics={}, notes=[*records[0].notes, found.promise()])
        export_model(record, steps.context, folder, overwrite=True)
    except JobFailed as error:
        click.echo(f"warning: the model is not written: {error}", err=True)
        return None
    click.echo(f"written: {folder}; use it: ltbench predict {shlex.quote(str(folder))} IMAGES", err=True)
    return folder
