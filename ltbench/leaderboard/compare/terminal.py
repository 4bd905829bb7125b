"""Render a comparison for a terminal of a given width."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ltbench.columns import Unit
from ltbench.leaderboard.compare.compare import Comparison
from ltbench.leaderboard.compare.lines import Line
from ltbench.leaderboard.page.terminal import printed
from ltbench.leaderboard.statistics.estimates import LEVEL, Estimate
from ltbench.leaderboard.tables.cell_text import factor_text, half_text, number_text, p_text, signed

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

_LISTED = 10
_GAP = 2


def comparison_text(comparison: Comparison, width: int, *, cells: bool = False, color: bool = False) -> str:
    """Return a comparison as text of at most `width` columns. cells: whether every run is shown."""
    return printed(_parts(comparison, width, cells=cells), width, color=color)


def _parts(comparison: Comparison, width: int, *, cells: bool) -> Iterator[RenderableType]:
    from rich.text import Text

    for mark, name in zip("AB", comparison.names, strict=True):
        yield Text(f"{mark}  {name}", style="bold")
    shown = [line for line in comparison.lines if not _same(line)]
    for place in dict.fromkeys(line.where for line in shown):
        yield ""
        if place:
            yield Text(place, style="bold")
        yield _table(comparison, [line for line in shown if line.where == place], width, cells=cells)
    if comparison.metrics:
        yield ""
        rows = [[name, *(_plain(one) for one in pair)] for name, pair in comparison.metrics.items()]
        yield _grid(["metric", "A", "B"], rows)
    yield ""
    yield from map(Text, _footer(comparison, shown))


def _table(comparison: Comparison, lines: Sequence[Line], width: int, *, cells: bool) -> Table:
    named, unit = len({line.techniques for line in comparison.lines}) > 1, comparison.unit
    head = [*(["techniques"] if named else []), "IF", "A", "B", "B − A", "p", "n", ""]
    rows: list[list[str]] = []
    for line in lines:
        names = dict.fromkeys(line.techniques)
        rows.append([
            *([" / ".join(names)] if named else []),
            "all" if line.factor is None else factor_text(line.factor),
            _score(line.first, unit), _score(line.second, unit),
            "" if line.difference is None else signed(line.difference.mean, unit) + half_text(line.difference, unit),
            p_text(line.p),
            _runs(line), _verdict(line),
        ])  # fmt: skip
        if cells:
            rows += [
                [*([""] if named else []), f"seed {cell.seed}" if cell.subset_seed == cell.seed
                 else f"subset {cell.subset_seed} seed {cell.seed}",
                 *(("n/a" if score is None else number_text(score, unit)) for score in cell.scores),
                 "" if None in cell.scores else signed((cell.scores[1] or 0.0) - (cell.scores[0] or 0.0), unit),
                 "", "", "same" if cell.same else ""]
                for cell in line.cells
            ]  # fmt: skip
    numbers = [max(map(len, column)) + _GAP for column in list(zip(head, *rows, strict=True))[int(named) : -1]]
    words = [max(map(len, text.split()), default=0) for row in rows for text in (row[-1], row[0] if named else "")]
    if sum(numbers) + (1 + named) * max(words, default=0) > width:
        # Where words would be broken, the verdict says enough of the p-value.
        place = head.index("p")
        head, rows = head[:place] + head[place + 1 :], [row[:place] + row[place + 1 :] for row in rows]
    return _grid(head, rows)


def _grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    from rich.table import Table

    grid = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="dim")
    for name in head:
        is_text = name in {"techniques", "metric", ""}
        grid.add_column(name, overflow="fold", justify="left" if is_text else "right", no_wrap=not is_text)
    for row in rows:
        grid.add_row(*row)
    return grid


def _score(estimate: Estimate | None, unit: Unit) -> str:
    return "–" if estimate is None else number_text(estimate.mean, unit) + half_text(estimate, unit)


def _plain(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.6g}"


def _runs(line: Line) -> str:
    both = 0 if line.difference is None else line.difference.n
    alone = [f"{count} only {side}" for count, side in zip(line.only, "AB", strict=True) if count]
    return ", ".join([str(both), *alone])


def _same(line: Line) -> bool:
    return bool(line.cells) and all(cell.same for cell in line.cells) and not any(line.only)


def _verdict(line: Line) -> str:
    if line.difference is None:
        return "no run in common"
    if _same(line):
        return "the same"
    if line.p is None:
        return "no spread: no test" if line.difference.sd == 0 else "one run: no test"
    higher = "B is higher" if line.difference.mean > 0 else "B is lower"
    said = higher if line.p < LEVEL else "not significant"
    return said if line.paired else f"{said}, not paired"


def _footer(comparison: Comparison, shown: Sequence[Line]) -> Iterator[str]:
    cells = [cell for line in comparison.lines for cell in line.cells]
    same = sum(cell.same for cell in cells)
    if comparison.same:
        yield f"Identical: {len(cells)} cells, bit for bit."
    elif same:
        yield f"Cells on both sides: {len(cells)}, {same} of them bit-identical."
    if shown:
        yield (
            f"{comparison.metric}{' times 100' * (comparison.unit == 'percent')}, mean ± 95 % interval over n runs; B − A with its simultaneous 95 % interval; p and "
            f"interval of B − A are corrected for {comparison.family}. Runs on other types of machines are not paired (Welch)."
        )
    for mark, alone in zip("AB", comparison.only, strict=True):
        yield from _listed(f"only in {mark}", alone)
    yield from _listed("specs differ (A / B)", comparison.other_spec)
    yield from _listed("machines differ (A / B)", comparison.machines)
    yield from _listed("plugins differ (A / B)", comparison.plugins)


def _listed(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield f"{title}:"
        yield from (f"  {line}" for line in lines[:_LISTED])
    if len(lines) > _LISTED:
        yield f"  and {len(lines) - _LISTED} more (--json has all)"
