"""`ltbench.run`: run the missing cells of a suite."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltbench.api.arguments import checked_as
from ltbench.api.asked import Asked, Names, PathLike, asked, data_folder, store_folder, texts
from ltbench.api.leaderboard import Leaderboard
from ltbench.api.tables import load
from ltbench.core.devices import AUTO
from ltbench.core.one_look import one_look
from ltbench.errors import UsageError
from ltbench.leaderboard import publish

if TYPE_CHECKING:
    import pandas as pd

    from ltbench.cli.running.page_of_run import PageOfRun
    from ltbench.cli.running.part_sources import PartSource
    from ltbench.cli.running.run_page import PageRun
    from ltbench.executor import Context, ExecutorOffer, Terms
    from ltbench.observer import ObserverOffer
    from ltbench.running.options import RunOptions


class Run:
    """A run that is over. Notebooks and `print` show its leaderboard."""

    def __init__(self, ran: PageRun) -> None:
        self.facts: dict[str, Any] = ran.facts
        """What `ltbench run --json` prints: cells that are done, that failed, seconds, files that were written."""
        self.page = ran.page.file
        """The page; its folder has the records, too."""

    @cached_property
    def leaderboard(self) -> Leaderboard:
        """The leaderboard of the page."""
        return Leaderboard(publish.load(self.page.parent))

    @property
    def records(self) -> pd.DataFrame:
        """The numbers of all cells, one row per cell and metric."""
        return load(self.page.parent)

    def __str__(self) -> str:
        return str(self.leaderboard)

    def __repr__(self) -> str:
        return f"Run({str(self.page)!r}, {self.facts['done']} of {self.facts['cells']} cells done)"

    def _repr_html_(self) -> str:
        return self.leaderboard._repr_html_()


@checked_as("run")
def run(
    suite: PathLike = "quick", *, techniques: Names | None = None, everything: bool = False, strategy: str | None = None,
    max_techniques: int | None = None, datasets: Names | None = None, profiles: Names | None = None, models: Names | None = None,
    imbalance_factors: float | Iterable[float] | None = None, seeds: int | Iterable[int] | None = None, held_out: float | None = None,
    recipe: Mapping[str, object] | None = None, metric: str = "", budget: str | None = None, executor: str | None = None,
    workers: int | None = None, device: str = AUTO, per_gpu: int = 1, retries: int = 1, timeout: float | None = None,
    memory: int | None = None, retry_failed: bool = True, rerun_stale: bool = False, name: str | None = None, replace: bool = False,
    observe: str | Iterable[str] = (), plugins: str | Iterable[str] = (), plugin_files: PathLike | Iterable[PathLike] = (), leaderboards: PathLike = "leaderboards",
    data_root: PathLike | None = None, store: PathLike | None = None,
) -> Run:  # fmt: skip
    """Run the missing cells of a suite, and write the page below `leaderboards/local`, as `ltbench run` does.

    suite: name of a suite, or a TOML file. The other arguments change it for this run, as the options of the command do.
    techniques, datasets, profiles, models: names, such as `mixup[alpha=0.2]`; values of techniques; or classes, also ones that the
    script or notebook defines. everything: combine all techniques. recipe: fields of the recipe, such as `{"epochs": 5}`.
    budget: an amount such as `10m` or `100cells`, after which no job is started. executor: where jobs run. workers, device,
    per_gpu: how many at once, and on what. retries, timeout in seconds, memory in bytes: limits of jobs. name: of the page.
    observe: names of observers that watch the run, with options. replace: whether records of the page from another type of machine
    are replaced. plugins, plugin_files: more plugins, as the options `-p` and `--plugin-file`.

    Progress is printed to stderr. Cells that failed are in the facts and on the page. Raises `Interrupted` after Ctrl-C (the
    same call continues), and other errors of `ltbench.errors` before anything runs.
    """
    from ltbench.cli.running.page_of_run import page_of_run
    from ltbench.cli.running.part_sources import SuiteParts
    from ltbench.cli.running.run_page import completed
    from ltbench.cli.units import spendable
    from ltbench.executor import Terms
    from ltbench.running.budget import Budget
    from ltbench.running.observing import observers_of
    from ltbench.running.options import RunOptions
    from ltbench.suite.suite import suite_path

    boards, data = Path(leaderboards), data_folder(data_root)
    with one_look():
        found = asked(
            suite, techniques=techniques, everything=everything, strategy=strategy, max_techniques=max_techniques, datasets=datasets,
            profiles=profiles, models=models, imbalance_factors=imbalance_factors, seeds=seeds, held_out=held_out, recipe=recipe,
            metric=metric, plugins=plugins, plugin_files=plugin_files, leaderboards=boards,
        )  # fmt: skip
        registry, observers = found.registry, observers_of(texts(observe), found.registry)
        terms = Terms(workers=workers, per_gpu=per_gpu, timeout=timeout, memory=memory)
        options = RunOptions(
            budget=None if budget is None else Budget(**spendable(budget)), retries=retries, retry_failed=retry_failed,
            rerun_stale=rerun_stale,
        )  # fmt: skip
        offer, context = where_to_run(found, executor, device, data, store)
        page = page_of_run(found.suite, suite_path(found.suite_name, registry), registry, boards, name)
        is_replaced = replace or rerun_stale
        page = completed(page, found.choice, data, is_replaced=is_replaced, names_data=data_root is not None)
        parts = SuiteParts(found.suite.trained_on(context.device), context)
        return ran_to_page(
            parts, found.suite.name, page, context, offer, terms, options, shlex.split(page.command), observers
        )


def where_to_run(
    found: Asked, executor: str | None, device: str, data: Path, store: PathLike | None
) -> tuple[ExecutorOffer, Context]:
    """Return the executor and the context of a run; say on stderr, as the command does, what images it leaves out."""
    from ltbench.cli.data_lines import dropped_lines
    from ltbench.executor import Context
    from ltbench.planning.settings import data_uses
    from ltbench.store.store import Store

    offer = found.registry.executor(executor or found.suite.executor or "local")
    devices = offer.devices(device)
    for line in dropped_lines(data_uses(found.suite, found.registry, data)):
        print(line, file=sys.stderr)  # noqa: T201 - as the command does
    return offer, Context(store=Store(store_folder(store)), registry=found.registry, data_root=data, devices=devices)


def ran_to_page(
    source: PartSource, suite: str, page: PageOfRun, context: Context, offer: ExecutorOffer, terms: Terms, options: RunOptions,
    command: Sequence[str], observers: Sequence[ObserverOffer],
) -> Run:  # fmt: skip
    """Run the parts of a source and write the page, as `run_to_page`; raise `UsageError` if there is none, `Interrupted` if stopped."""
    from ltbench.cli.running.run_page import report, run_to_page

    ran = run_to_page(source, suite, page, context, offer, terms, options, command, observers)
    if ran.result.stopped is not None:
        raise ran.result.stopped
    report(ran.result)
    if not page.file.is_file():
        raise UsageError(f"no cell of the suite '{suite}' is done, so there is no page", fix="a larger budget")
    return Run(ran)
