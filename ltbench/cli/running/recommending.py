"""The steps of `ltbench recommend`: the data sets of a user's images, the race in each fold, its test, and the answer."""

from __future__ import annotations

import re
import shlex
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from ltbench.cli.data_lines import report_lines
from ltbench.cli.running.damage import reporting_damage
from ltbench.cli.running.part_sources import Limits, SuiteParts
from ltbench.cli.running.parts import run_parts
from ltbench.cli.running.search_parts import SearchParts
from ltbench.core.checksums import digest
from ltbench.core.spec import canonical
from ltbench.errors import DataError, NoTestImages, UsageError
from ltbench.planning.parts import make_plan
from ltbench.records.locations import LOCAL
from ltbench.records.record import validate
from ltbench.running.budget import Budget
from ltbench.running.progress import Progress
from ltbench.running.runner import run
from ltbench.stages import Dataset, Model
from ltbench.suite.suite import Suite, changed, find_suite

if TYPE_CHECKING:
    from ltbench.cli.running.page_of_run import PageOfRun
    from ltbench.cli.running.part_sources import PartSource
    from ltbench.executor import Context, Executor, ExecutorOffer, Terms
    from ltbench.records.record import Record
    from ltbench.records.search_file import SearchedRow
    from ltbench.running.options import RunOptions
    from ltbench.running.run_log import RunLog
    from ltbench.stages import IntArray

RACE = 0.6
"""Share of the budget for the race; the rest is for tests of what it chose."""
FINALISTS = 6
"""Rows that are tested besides the baseline."""
SHARES = (0.25, 0.5)
"""Parts of the images of each class with which the recommended row is trained, too, to see what more images bring."""
MOST_CLASSES = 200
"""Classes up to which that is done: profiles state the images of each."""
TEST_SEEDS = 3
"""Trainings of each row that is tested, in each fold."""


Row = tuple[str, ...]
"""The labels of the techniques of a row."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the user asks for; see the options of the command."""

    photos: Path
    test: Path | None
    holdout: float | None
    folds: int
    groups: str
    seconds: float
    model: str
    size: int
    is_strict: bool
    suite: str
    name: str
    metric: str
    leaderboards: Path


def recommend(asked: Asked, context: Context, offer: ExecutorOffer, terms: Terms, options: RunOptions) -> int:
    """Run the steps, write the page and print the answer; return the exit code."""
    from ltbench.cli.running.recommendation import Tested
    from ltbench.running.run_log import RunLog

    datasets = _datasets(asked, context)
    info = datasets[0].info(context.data_root)
    for line in report_lines(info.report, info.classes):
        click.echo(line, err=True)
    suite = _suite(asked, datasets, context)
    click.echo(f"features of {suite.models[0]}", err=True)
    name = asked.name or re.sub(r"[^a-z0-9_]+", "-", asked.photos.resolve().stem.lower()).strip("-_") or "photos"
    with (
        reporting_damage(context.store),
        offer.make(context, terms) as executor,
        RunLog(
            context.store,
            command=["ltbench", *sys.argv[1:]],
            suite=suite.name,
            executor=offer.name,
            workers=executor.slots,
        ) as log,
    ):
        steps = _Steps(asked, context, executor, options, log, name)
        tested = changed(suite, held_out=0.0, techniques=[], strategy="all", seeds=list(suite.seeds[:TEST_SEEDS]))
        # Plain training first, which needs the features of all images: they are no part of the budget.
        steps.run(SuiteParts(tested, context), tested, "")
        race = SearchParts(suite, context, "held_out", Limits())
        steps.run(race, suite, "-race", seconds=asked.seconds * RACE)
        leaders = _leaders(race.searched.rows, suite.datasets)
        if not all(leaders.values()):
            raise UsageError(
                "nothing was chosen in the time of the budget", fix="a larger --budget; what was done is not lost"
            )
        tested = changed(tested, combinations=[list(row) for row in _finalists(leaders)])
        steps.run(SuiteParts(tested, context), tested, "")
        chosen = {data: found[0] for data, found in leaders.items()}
        found = Tested(asked.leaderboards / LOCAL / name, tested, chosen, context, asked.metric)
        found.write(list(steps.with_fewer_images(tested, found.best)))
    return 0


def _datasets(asked: Asked, context: Context) -> list[Dataset]:
    """Return the data sets of the cross-validation: one for each fold, or one if there are test images."""
    kinds = [kind for kind in context.registry.of("dataset").values() if issubclass(kind, Dataset)]
    kind = next((kind for kind in kinds if kind.reads(asked.photos)), None)
    if kind is None:
        raise DataError(
            f"no data set reads {asked.photos}",
            fix="a folder with a folder for each class, or a list of files with labels",
        )
    if asked.test is not None and asked.holdout is not None:
        raise UsageError("--test and --holdout both say what the test images are", fix="leave one of them out")
    given: dict[str, object] = {"path": str(asked.photos.resolve()), "size": asked.size}
    given |= {"strict": True} if asked.is_strict else {}
    if asked.test is not None:
        return [kind.parse(given | {"test": str(asked.test.resolve())})]
    divided = given | ({"groups": asked.groups} if asked.groups else {})
    if asked.holdout is not None:
        return [kind.parse(divided | {"test_fraction": asked.holdout})]
    try:
        whole = kind.parse(given)
        whole.locate(context.data_root)
    except NoTestImages:
        return [kind.parse(divided | {"folds": asked.folds, "fold": fold}) for fold in range(1, asked.folds + 1)]
    return [whole]


def _suite(asked: Asked, datasets: Sequence[Dataset], context: Context) -> Suite:
    """Return the suite with these data sets and one model."""
    suite = find_suite(asked.suite, context.registry)
    changes: dict[str, object] = {
        "datasets": [dataset.label for dataset in datasets], "models": [_model(asked, suite, context)], "profiles": [datasets[0].profile],
        "imbalance_factors": [1.0],
    }  # fmt: skip
    if asked.metric:
        changes["metric"] = asked.metric
    return changed(suite, **changes)


def _model(asked: Asked, suite: Suite, context: Context) -> str:
    """Return the model that the user names, or the first of the suite whose weights are here."""
    if asked.model:
        text = asked.model if "[" in asked.model else f"{asked.model}[frozen=true,pretrained=true]"
        return context.registry.parse(text, "model").label
    for text in suite.models:
        model = context.registry.parse(text, "model")
        if isinstance(model, Model) and model.is_at_hand:
            return model.label
    raise DataError(
        f"none of the pretrained models of suite '{suite.name}' is on this machine",
        fix="pip install 'ltbench[pretrained]'",
    )


class _Steps:
    """Runs the steps on one executor, each with a page of its own."""

    def __init__(
        self, asked: Asked, context: Context, executor: Executor, options: RunOptions, log: RunLog, name: str
    ) -> None:
        self._asked, self._context, self._executor, self._options = asked, context, executor, options
        self._log, self._name = log, name

    def run(self, source: PartSource, suite: Suite, suffix: str, *, seconds: float | None = None) -> None:
        """Run a step, for so many seconds if they are given. Raises `Interrupted` if it was stopped."""
        options = msgspec.structs.replace(self._options, budget=None if seconds is None else Budget(seconds=seconds))
        result = run_parts(
            source, self._context, self._executor, options, log=self._log, page=self._page(suite, suffix)
        )
        if result.stopped is not None:
            raise result.stopped

    def with_fewer_images(self, suite: Suite, row: str) -> Iterator[tuple[IntArray, list[Record]]]:
        """Train a row with parts of the images of each class, without a page; yield their counts, and the records.

        Nothing is yielded for so many classes, or so few images, that it would say nothing.
        """
        import numpy as np

        context = self._context
        datasets = [context.registry.parse(label, "dataset") for label in suite.datasets]
        infos = {one.label: one.info(context.data_root) for one in datasets if isinstance(one, Dataset)}
        if max(len(info.classes) for info in infos.values()) > MOST_CLASSES:
            return
        for share in SHARES:
            plans, kept = [], []
            for label, info in infos.items():
                counts = [max(round(share * number), 1) for number in info.train_counts]
                kept.append(counts)
                profile = f"counts[per_class={'+'.join(map(str, counts))}]"
                factor = round(max(counts) / min(counts), 2)
                fewer = changed(
                    suite, datasets=[label], profiles=[profile], imbalance_factors=[factor],
                    techniques=[], combinations=[row.split(" + ")] if row else [],
                )  # fmt: skip
                plans.append(make_plan(fewer, context.registry, context.data_root))
            plan = msgspec.structs.replace(plans[0], jobs={key: job for one in plans for key, job in one.jobs.items()})
            plan = msgspec.structs.replace(plan, passes={key: n for one in plans for key, n in one.passes.items()})
            with Progress() as progress:
                run(plan, context, self._executor, self._options, on_event=progress)
            raw = [context.store.record(cell.key) for cell in plan.cells]
            records = [validate(one, "a cell with fewer images") for one in raw if one is not None]
            yield np.array(kept).mean(0).astype(np.int64), [one for one in records if one.status == "ok"]

    def _page(self, suite: Suite, suffix: str) -> PageOfRun:
        from ltbench.cli.running.page_of_run import PageOfRun

        folder = self._asked.leaderboards / LOCAL / f"{self._name}{suffix}"
        # Plain training comes first, and the rows that were chosen join it on the same page.
        rowless = changed(suite, techniques=[], combinations=[]) if suite.combinations else suite
        return PageOfRun(
            folder=folder,
            suite=changed(suite, title=f"{suite.title}: {self._name}{' (race)' * bool(suffix)}"),
            command=shlex.join(["ltbench", *sys.argv[1:]]),
            definition=digest(canonical([suffix, msgspec.to_builtins(rowless)]), 32),
        )  # fmt: skip


def _leaders(rows: Sequence[SearchedRow], datasets: Sequence[str]) -> dict[str, list[Row]]:
    """Return the rows in the lead for each data set, the best one first."""
    found: dict[str, list[Row]] = {}
    for dataset in datasets:
        own = [
            row for row in rows if row.board.startswith(f"{dataset}, ") and (row.is_best or row.state == "in the lead")
        ]
        found[dataset] = [_techniques(row.combination) for row in sorted(own, key=lambda row: not row.is_best)]
    return found


def _techniques(combination: str) -> Row:
    return () if combination == "baseline" else tuple(combination.split(" + "))


def _finalists(leaders: dict[str, list[Row]]) -> list[Row]:
    """Return the rows to test: the best of each data set, then those that lead in most of them."""
    best = [found[0] for found in leaders.values() if found]
    times = Counter(row for found in leaders.values() for row in found)
    often = sorted(times, key=lambda row: (-times[row], len(row), row))
    rows = [row for row in dict.fromkeys([*best, *often[:FINALISTS]]) if row]
    return rows[: max(FINALISTS, len(set(best)))]
