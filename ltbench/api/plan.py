"""`ltbench.plan`: what a run would do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ltbench.api.arguments import checked_as
from ltbench.api.asked import Names, PathLike, asked, data_folder, store_folder
from ltbench.api.html import preformatted
from ltbench.cli.planned import Planned, planned
from ltbench.core.devices import AUTO
from ltbench.core.one_look import one_look


class Plan:
    """What a run would do. Notebooks and `print` show the lines of `ltbench plan`."""

    def __init__(self, found: Planned) -> None:
        self.facts: dict[str, Any] = found.facts
        """What `ltbench plan --json` prints."""
        self._lines = [*found.lines, *found.cell_lines]

    def __str__(self) -> str:
        return "\n".join(self._lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return preformatted(str(self))


@checked_as("plan")
def plan(
    suite: PathLike = "quick", *, techniques: Names | None = None, everything: bool = False, strategy: str | None = None,
    max_techniques: int | None = None, datasets: Names | None = None, profiles: Names | None = None, models: Names | None = None,
    imbalance_factors: float | Iterable[float] | None = None, seeds: int | Iterable[int] | None = None, held_out: float | None = None,
    recipe: Mapping[str, object] | None = None, metric: str = "", cells: bool = False, workers: int | None = None, device: str = AUTO,
    per_gpu: int = 1, plugins: str | Iterable[str] = (), plugin_files: PathLike | Iterable[PathLike] = (), leaderboards: PathLike = "leaderboards",
    data_root: PathLike | None = None, store: PathLike | None = None,
) -> Plan:  # fmt: skip
    """Return what `run` with these arguments would do: cells, jobs, what is done already, predicted time.

    The arguments are those of `run`. cells: whether to list every cell. Nothing is trained. For a class
    of the script or notebook, a plugin file is written, as by `run`.
    """
    with one_look():
        found = asked(
            suite, techniques=techniques, everything=everything, strategy=strategy, max_techniques=max_techniques, datasets=datasets,
            profiles=profiles, models=models, imbalance_factors=imbalance_factors, seeds=seeds, held_out=held_out, recipe=recipe,
            metric=metric, plugins=plugins, plugin_files=plugin_files, leaderboards=Path(leaderboards),
        )  # fmt: skip
        return Plan(
            planned(
                found.suite, found.registry, store_path=store_folder(store), data_root=data_folder(data_root), device=device,
                workers=workers, listed=cells, per_gpu=per_gpu,
            )
        )  # fmt: skip
