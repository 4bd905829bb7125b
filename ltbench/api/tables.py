"""`ltbench.techniques`, `ltbench.load` and `ltbench.compare`: tables of techniques, numbers and differences."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ltbench.api.arguments import checked_as
from ltbench.api.asked import PathLike, texts
from ltbench.api.html import preformatted
from ltbench.core.one_look import one_look
from ltbench.costs import resolved
from ltbench.leaderboard.compare.compare import Comparison
from ltbench.leaderboard.compare.places import compare_places
from ltbench.leaderboard.compare.terminal import comparison_text
from ltbench.records.locations import find_location

if TYPE_CHECKING:
    import pandas as pd

_WIDTH = 160


@checked_as("list")
def techniques(
    stage: str | None = None, *, plugins: str | Iterable[str] = (), plugin_files: PathLike | Iterable[PathLike] = ()
) -> pd.DataFrame:
    """Return the installed techniques, and then the methods with their parts: one row each.

    stage: only those of this stage, or `method`. plugins, plugin_files: more plugins, as for `run`.
    """
    import pandas as pd

    from ltbench.cli.options import load_registry, selected_plugins
    from ltbench.registry.technique_rows import check_stage, technique_rows

    check_stage(stage)
    with one_look():
        rows = technique_rows(load_registry(selected_plugins(texts(plugin_files), texts(plugins))), stage)
    return pd.DataFrame(rows)


@checked_as("export")
def load(records: PathLike, *, per_class: bool = False, leaderboards: PathLike = "leaderboards") -> pd.DataFrame:
    """Return the numbers of records in tidy form, one row per cell and metric, as `ltbench export` writes them.

    records: name or folder of a leaderboard, a records file, or a store; per_class: whether to include numbers per class.
    Raises `RecordError` naming file, line and field.
    """
    from ltbench.leaderboard.export import table_of

    return table_of(find_location(str(records), Path(leaderboards)), per_class=per_class)


class Compared:
    """Paired differences of two sides, with a test. `print` and notebooks show what `ltbench compare` prints."""

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison
        """All numbers, as `ltbench compare --json` prints them."""

    @property
    def table(self) -> pd.DataFrame:
        """One row for each line: where, imbalance factor (empty for all), difference with its interval, p-value."""
        import pandas as pd

        lines = [
            {
                "where": line.where,
                "imbalance_factor": line.factor,
                "a": None if line.first is None else line.first.mean,
                "b": None if line.second is None else line.second.mean,
                "difference": None if line.difference is None else line.difference.mean,
                "half_width": None if line.difference is None else line.difference.half,
                "p": line.p,
                "runs": len(line.cells),
            }
            for line in self.comparison.lines
        ]
        return pd.DataFrame(lines)

    def __str__(self) -> str:
        return comparison_text(self.comparison, _WIDTH)

    def __repr__(self) -> str:
        return f"Compared({' and '.join(map(repr, self.comparison.names))}, {self.comparison.metric})"

    def _repr_html_(self) -> str:
        return preformatted(str(self))


@checked_as("compare")
def compare(
    records: PathLike,
    first: PathLike,
    second: str | None = None,
    *,
    metric: str = "",
    leaderboards: PathLike = "leaderboards",
) -> Compared:
    """Compare two combinations of techniques, two cells, or two sets of records, run by run.

    With three arguments, `first` and `second` are combinations as in the table of a page, or the first digits of the ids of two
    cells; with two, `records` and `first` are sets of records. metric: by default that of the page. Raises `UnknownName`.
    """
    names = [records, first] if second is None else [records]
    places = [find_location(str(name), Path(leaderboards)) for name in names]
    rows = () if second is None else (str(first), second)
    return Compared(compare_places(places, rows, resolved(metric)))
