"""`ltbench.render`: the leaderboard of records."""

from __future__ import annotations

import io
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ltbench.api.arguments import checked_as
from ltbench.api.asked import PathLike
from ltbench.api.html import image, rendered
from ltbench.core.generated_files import read_text
from ltbench.costs import resolved
from ltbench.errors import UsageError
from ltbench.leaderboard import publish
from ltbench.leaderboard.figures import FOLDER, place_figures
from ltbench.leaderboard.figures.canvas import is_current, svg
from ltbench.leaderboard.page.page import failure_numbers, group_failures
from ltbench.leaderboard.page.readme_block import compact_block
from ltbench.leaderboard.page.terminal import leaderboard_text
from ltbench.leaderboard.tables.csv import table_csv
from ltbench.records.locations import find_location

if TYPE_CHECKING:
    import pandas as pd

_WIDTH = 160
_FIGURES = 2
"""Most figures that a notebook shows; the page has all."""


class Leaderboard:
    """A leaderboard. `print` shows it as a terminal does, a notebook its answer, main table and first figures."""

    def __init__(self, content: publish.SuiteFolder) -> None:
        self._content = content
        self.folder = content.folder
        """Where its records are."""

    @property
    def answer(self) -> list[str]:
        """The answer of the page, in sentences."""
        return self._content.answer

    @cached_property
    def table(self) -> pd.DataFrame:
        """All tables of the page, one row for each row, data set and imbalance factor, as `table.csv`."""
        import pandas as pd

        return pd.read_csv(io.StringIO(table_csv(self._content.boards)))

    @cached_property
    def files(self) -> dict[Path, str]:
        """The files of the page, as `ltbench run` and `ltbench leaderboard --update` write them: path -> text."""
        return publish.render(self._content)

    def __str__(self) -> str:
        content = self._content
        return leaderboard_text(
            content.facts, content.records, content.boards, _WIDTH, trust=content.trust, sentences=content.answer
        )

    def __repr__(self) -> str:
        return f"Leaderboard({str(self.folder)!r}, {len(self._content.records)} records)"

    def _repr_html_(self) -> str:
        content = self._content
        failures = failure_numbers(group_failures(content.records))
        page = (content.folder / publish.PAGE).as_posix()
        groups = place_figures(content.facts, content.records, content.analyses, content.boards)
        drawings = [one.drawings[0] for one in groups if one.drawings][:_FIGURES]
        shown = rendered(compact_block(content.boards, failures, page, content.answer))
        for drawing in drawings:
            before = read_text(content.folder / FOLDER / drawing.name)
            shown += image(before if is_current(drawing, before) else svg(drawing), drawing.alt)
        return shown


@checked_as("leaderboard")
def render(page: PathLike, *, metric: str = "", leaderboards: PathLike = "leaderboards") -> Leaderboard:
    """Return the leaderboard of a page, rendered from its records.

    page: name of a leaderboard, or its folder; metric: what to rank by, in place of what its suite says. Raises `UnknownName`,
    `RecordError`, or `UsageError` for records that have no page.
    """
    place = find_location(str(page), Path(leaderboards))
    if place.kind != "suite":
        raise UsageError(
            f"{place.path} is a {place.kind} and has no page", fix="give the name or the folder of a leaderboard"
        )
    return Leaderboard(publish.load(place.path, resolved(metric)))
