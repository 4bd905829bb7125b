"""How to read the tables of a page: what each column is, and how differences are tested."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from ltbench.columns import TOP1, Column
from ltbench.leaderboard.tables.cell_text import reference_text
from ltbench.leaderboard.tables.markdown import code, escape
from ltbench.leaderboard.tables.table import Board

_READING = """\
<details><summary>How to read the tables</summary>

- **{title}** is {metric} on the test set{unit}, mean ± 95 % interval over *n* runs. A run is a pair of seeds, one for
  the long-tailed subset and one for the training. All rows of a table share subset, initial weights and order of images
  in each run.
- **Δ** is the difference to {reference} with its interval; `*` marks a significant one, whose interval leaves out zero.
- **rank** is the range of ranks that a row may have: no better than one plus the rows that are significantly better, and no
  worse than the rows that are significantly worse allow. A wide range means that few runs cannot tell, not *equal*.
- The intervals of all pairs of rows of a table hold together in 95 % of tables. {forms}
- *n* counts pairs of seeds; `2/3 seeds` means that one of three is missing or failed.
- **area** is the area under accuracy over the logarithm of the imbalance factor, by trapezoids, divided by the width:
  a mean in which every doubling of the factor counts the same.
- Folded below each table: **p** values, corrected, and **d**, the mean difference in standard deviations of the
  differences (Cohen's d_z with Hedges' correction for few runs).
{scores}
- **Bold** is the best number of a column, n/a an undefined score, – a missing cell; nothing is imputed.
- Protocol {protocols}. Numbers are *self-reported* until somebody else claims to have examined their records and rerun some of
  the cells: the line above names the version, the digest of the records and the number of cells. Such a claim is not signed.

</details>

"""


def reading_lines(boards: Sequence[Board], columns: Iterable[Column]) -> list[str]:
    """Return the folded explanation of the tables of a page."""
    protocols = ", ".join(code(p) for p in sorted({board.protocol for board in boards}))
    reference = escape(reference_text(boards[0].tables[0].reference))
    ranking = boards[0].ranking
    metric = "accuracy" if ranking.name == TOP1 else ranking.words
    text = _READING.format(
        title=escape(ranking.column.title), metric=metric, scores="\n".join(_legend(columns, ranking.name)),
        protocols=protocols, reference=reference, forms=" ".join(_forms(boards)), unit=" in percent" if ranking.is_fraction else "",
    )  # fmt: skip
    return text.splitlines()


_FORMS: Final = {
    "pooled": "Rows and pairs of seeds are the two factors of an additive model, the variance of differences is pooled over rows, "
    "and the bound is that of the studentised range (Tukey-Kramer).",
    "by kind": "Rows and pairs of seeds are the two factors of an additive model (Tukey-Kramer). Rows that share a training differ less "
    "from seed to seed than others do, so the variance of their differences is pooled apart. Where too few of them tell it, it is "
    "that of the other rows, or their own if that is larger.",
    "each pair": "Each pair of rows has the variance of its own differences (paired t tests, Bonferroni over all pairs).",
}
_FEW = (
    "With fewer than ten pairs of seeds the SD behind the interval of a mean is pooled over rows too, and the error rate of 5 % holds "
    "for rows of about equal variance; where variances differ fourfold it is about 12 % for 16 rows."
)
_ARCSINE = (
    "Where the mean of a row is below 5 % or above 95 %, rows are compared on the scale of the arcsine of the root, and intervals are "
    "shown in points."
)


def _forms(boards: Sequence[Board]) -> Iterator[str]:
    """Yield sentences on how differences of the tables were tested."""
    tables = [table for board in boards for table in board.all_tables]
    forms = {table.form for table in tables}
    yield from (words for form, words in _FORMS.items() if form in forms)
    if forms & {"pooled", "by kind"}:
        yield _FEW
    if any(table.arcsine for table in tables):
        yield _ARCSINE


def _legend(columns: Iterable[Column], ranking: str) -> Iterator[str]:
    """Yield a line for each score of the tables, in the order in which the tables have them."""
    declared = [column for column in columns if not column.per_class and column.name != ranking]
    for place in ("main", "folded"):
        for column in sorted((one for one in declared if one.shown == place), key=lambda one: one.order):
            name = "" if column.full_title.lower() == column.title.lower() else f" ({escape(column.full_title)})"
            yield f"- **{escape(column.title)}**{name}: {escape(column.full_description)}"
