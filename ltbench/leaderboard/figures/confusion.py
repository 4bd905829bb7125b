"""Confusion matrices: one, or the reference and another combination side by side (as report jiang's Fig. 14 to 16)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from ltbench.columns import TOP1
from ltbench.leaderboard.figures.canvas import FONT, LABELLED, SMALL, WIDTH, figure, shortened, wrapped
from ltbench.leaderboard.figures.series import (
    Series,
    classes_of,
    counts_of,
    group_names,
    group_size,
    head_to_tail,
    mean_of,
    total_confusion,
)
from ltbench.leaderboard.tables.cell_text import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure


LEAST = 2.0
"""Percent from which on a number is written; less would be noise."""


class Matrix(msgspec.Struct, frozen=True, kw_only=True):
    """Test images by true (row) and predicted class (column), summed over runs."""

    label: str
    top1: float | None
    runs: int
    images: list[list[int]]


class Data(msgspec.Struct, frozen=True, kw_only=True):
    """Classes come from head to tail; many are shown in groups of neighbours."""

    classes: list[str]
    matrices: list[Matrix]
    grouped: int | msgspec.UnsetType = msgspec.UNSET
    """Classes of a group; omitted where each class is shown."""


def collect(shown: Sequence[Series]) -> Data | None:
    """Return the data of the figure; None if one of the combinations has no confusion matrix."""
    found = [[record for record in one.records if record.has_confusion] for one in shown]
    sizes = {c.classes for records in found for record in records if (c := record.confusion) is not None}
    if not shown or not all(found) or len(sizes) != 1:
        return None
    size = sizes.pop()
    counts = counts_of(record for records in found for record in records)
    order = head_to_tail(counts) if len(counts) == size else list(range(size))
    names = classes_of((record for records in found for record in records), size)
    matrices = [
        Matrix(
            label=one.short,
            top1=mean_of(records, TOP1),
            runs=len(records),
            images=total_confusion(records, order),
        )
        for one, records in zip(shown, found, strict=True)
    ]
    if (grouped := group_size(size)) > 1:
        return Data(classes=group_names(size), matrices=matrices, grouped=grouped)
    return Data(classes=[names[c] for c in order], matrices=matrices)


def draw(data: Data) -> Figure:
    """Draw the matrices, each row in percent of the class's test images."""
    many = len(data.matrices)
    width = WIDTH if many > 1 else 6.4
    named = len(data.classes) <= LABELLED // many
    longest = max(len(name) for name in data.classes) if named else 0
    # The matrix is square: the width left by names and scale is also its height.
    side = (width - 0.5 - 0.1 * longest - 0.15 * many) / many
    lines = max(len(_title(matrix, side)) for matrix in data.matrices)
    made = figure(side + 1.4 + 0.25 * lines + 0.075 * longest, width=width)
    grid = made.subplots(1, many, squeeze=False, sharey=True)[0]
    for number, (axes, matrix) in enumerate(zip(grid, data.matrices, strict=True)):
        mesh = _matrix(axes, matrix, data.classes, many, side)
        if number == 0:
            many_classes = f"{len(data.classes)}" if data.grouped is msgspec.UNSET else f"groups of {data.grouped}"
            axes.set_ylabel("true class" if named else f"true class: {many_classes}, head to tail")
    # Below, so that the matrices have the width.
    bar = made.colorbar(mesh, ax=list(grid), location="bottom", shrink=0.7, aspect=40, label="% of the class's test images",
                        ticks=[0, 1, 5, 10, 25, 50, 75, 100])  # fmt: skip
    bar.ax.minorticks_off()
    return made


def _matrix(axes: Axes, matrix: Matrix, classes: Sequence[str], many: int, side: float) -> ScalarMappable:
    from matplotlib.colors import PowerNorm

    size = len(classes)
    shares = [[100 * n / sum(row) if sum(row) else 0.0 for n in row] for row in matrix.images]
    # A square root, so that confusions of a few percent are seen beside the diagonal.
    scale = PowerNorm(0.5, 0, 100)
    # Small matrices are drawn cell by cell; of large ones that would take a megabyte.
    if size <= LABELLED // many:
        mesh: ScalarMappable = axes.pcolormesh(shares, cmap="Blues", norm=scale, edgecolors="#ffffff", linewidth=0.4)
        axes.set_ylim(size, 0)
        places = [c + 0.5 for c in range(size)]
        names = [shortened(name, 16) for name in classes]
        axes.set_xticks(places, names, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(places, names)
        axes.tick_params(length=0)
        # A cell is as wide as three digits; beyond ten classes side by side, colour alone says it.
        text = FONT if size * many <= 12 else SMALL if size <= 10 else 0
        for t, row in enumerate(shares):
            for p, share in enumerate(row):
                if text and share >= LEAST:
                    axes.text(p + 0.5, t + 0.5, f"{share:.0f}", ha="center", va="center", fontsize=text,
                              color="#ffffff" if share > 30 else "#000000")  # fmt: skip
    else:
        mesh = axes.imshow(shares, cmap="Blues", norm=scale, interpolation="nearest")
        axes.set_xticks([])
        axes.set_yticks([])
    axes.set_aspect("equal")
    axes.spines[:].set_visible(False)
    axes.set_xlabel("predicted class")
    axes.set_title("\n".join(_title(matrix, side)))
    return mesh


def _title(matrix: Matrix, side: float) -> list[str]:
    top1 = "" if matrix.top1 is None else f"top-1 {percent(matrix.top1)} %"
    runs = f"n = {matrix.runs}"
    below = ", ".join(filter(None, (top1, runs)))
    most = max(8, int(8 * side))
    return [*wrapped(matrix.label, most - 2, most), *([below] if below else [])]
