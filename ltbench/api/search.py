"""`ltbench.search`: find the best combinations of a suite without running all."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from ltbench.api.arguments import checked_as
from ltbench.api.asked import Names, PathLike, asked, data_folder, texts
from ltbench.api.run import Run, ran_to_page, where_to_run
from ltbench.core.devices import AUTO
from ltbench.core.one_look import one_look


@checked_as("search")
def search(
    suite: PathLike = "quick", *, budget: str | None = None, on: Literal["held_out", "test"] = "held_out", techniques: Names | None = None,
    everything: bool = False, strategy: str | None = None, max_techniques: int | None = None, datasets: Names | None = None,
    profiles: Names | None = None, models: Names | None = None, imbalance_factors: float | Iterable[float] | None = None,
    seeds: int | Iterable[int] | None = None, held_out: float | None = None, recipe: Mapping[str, object] | None = None,
    metric: str = "", executor: str | None = None, workers: int | None = None, device: str = AUTO, per_gpu: int = 1, retries: int = 1,
    timeout: float | None = None, memory: int | None = None, name: str | None = None, replace: bool = False,
    observe: str | Iterable[str] = (), plugins: str | Iterable[str] = (), plugin_files: PathLike | Iterable[PathLike] = (),
    leaderboards: PathLike = "leaderboards", data_root: PathLike | None = None, store: PathLike | None = None,
) -> Run:  # fmt: skip
    """Race the combinations of a suite and write the page below `leaderboards/local`, as `ltbench search` does.

    budget: the most to spend, such as `30m`, `100cells` or `20Mpasses`; by default until rows are told apart. on: images on which rows
    are compared, held out of training or of the test split. The other arguments are those of `run`. The result is that of a run: its
    page says which combinations are in the lead, and which were never run. Raises `Interrupted` after Ctrl-C (the same call continues).
    """
    from ltbench.cli.running.run_page import completed
    from ltbench.cli.running.searching import searching
    from ltbench.cli.units import spendable
    from ltbench.executor import Terms
    from ltbench.running.observing import observers_of
    from ltbench.running.options import RunOptions

    boards, data = Path(leaderboards), data_folder(data_root)
    with one_look():
        found = asked(
            suite, techniques=techniques, everything=everything, strategy=strategy, max_techniques=max_techniques, datasets=datasets,
            profiles=profiles, models=models, imbalance_factors=imbalance_factors, seeds=seeds, held_out=held_out, recipe=recipe,
            metric=metric, plugins=plugins, plugin_files=plugin_files, leaderboards=boards,
        )  # fmt: skip
        registry, observers = found.registry, observers_of(texts(observe), found.registry)
        terms = Terms(workers=workers, per_gpu=per_gpu, timeout=timeout, memory=memory)
        offer, context = where_to_run(found, executor, device, data, store)
        spent = None if budget is None else spendable(str(budget))
        source, page, limit = searching(
            found.suite, found.suite_name, context, registry, on=on, held_out=held_out, budget=spent, leaderboards=boards, name=name
        )  # fmt: skip
        page = completed(page, found.choice, data, is_replaced=replace, names_data=data_root is not None)
        options = RunOptions(budget=limit, retries=retries)
        return ran_to_page(
            source, found.suite.name, page, context, offer, terms, options, shlex.split(page.command), observers
        )
