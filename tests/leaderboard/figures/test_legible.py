"""Figures are read at half size: their texts are large enough, and none covers another one or leaves the figure."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib as mpl
import pytest
import synthetic
from matplotlib.text import Text

from ltbench.leaderboard.figures import place_figures
from ltbench.leaderboard.figures.by_factor import Data, Line, draw
from ltbench.leaderboard.figures.canvas import STYLE, WIDTH
from ltbench.leaderboard.figures.looks import page_looks
from ltbench.leaderboard.figures.series import Point
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.records.record import Record
from ltbench.suite.published import FIGURES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SMALLEST = 7.9
"""Pixels of a text at half size."""
DRAWN = tuple(f"{name}[threshold=120]" if name in ("resampling", "bags") else name for name in FIGURES)


def overlaps(made: Figure) -> list[tuple[str, str]]:
    """Return the pairs of drawn texts of a figure that cover each other, or that leave it."""
    from matplotlib.text import Text

    made.draw_without_rendering()
    hidden = set()
    for axis in (axis for axes in made.axes for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        # Matplotlib keeps ticks beyond the axes, and does not draw them.
        hidden |= {tick.label1 for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high}
    shown = [one for one in made.findobj(Text) if one.get_text().strip() and one.get_visible() and one not in hidden]
    boxes = {one.get_text(): one.get_window_extent() for one in shown}
    slanted = {one.get_text() for one in shown if one.get_rotation() % 90}
    page = made.bbox
    outside = [
        (text, "the edge")
        for text, box in boxes.items()
        if box.x0 < page.x0 - 1 or box.y0 < page.y0 - 1 or box.x1 > page.x1 + 1 or box.y1 > page.y1 + 1
    ]
    # The box of a slanted text is larger than the text.
    pairs = itertools.combinations(((text, box) for text, box in boxes.items() if text not in slanted), 2)
    return outside + [(a, b) for (a, one), (b, other) in pairs if one.shrunk(0.98, 0.98).overlaps(other)]


def smallest_text(made: Figure) -> float:
    """Return the pixels of the smallest text where the figure is shown 400 pixels wide."""
    sizes = [one.get_fontsize() for one in made.findobj(Text) if one.get_text().strip()]
    return min(sizes) / 72 * 400 / made.get_figwidth()


@pytest.mark.parametrize("factors", [(10.0, 100.0), (2.0, 10.0, 50.0, 100.0, 500.0), (100.0,)], ids=len)
@pytest.mark.parametrize("spread", [0.0, 0.002, 0.4])
def test_labels_at_the_ends_of_lines_do_not_overlap(factors: tuple[float, ...], spread: float) -> None:
    import matplotlib as mpl

    names = ["baseline", "cb_sampler", "a_rather_long_name_of_a_technique", "mixup", "label_smooth", "tta",
             "cb_sampler + label_smooth + decoupling + tta"]  # fmt: skip
    looks = page_looks(names, "baseline")
    lines = [Line(name=name, look=looks[name], points=[Point(mean=0.5 + spread * i / 7, low=0.49 + spread * i / 7, high=0.51 + spread * i / 7) for _ in factors])
             for i, name in enumerate(names)]  # fmt: skip
    data = Data(
        factors=list(factors),
        lines=lines,
        metric="Top-1 accuracy",
        higher_is_better=True,
        seeds="3 seeds",
        where="imbalance factor 100",
    )
    with mpl.rc_context(STYLE):
        made = draw(data)
        assert overlaps(made) == []
        assert made.get_figwidth() == WIDTH


LONG = "a_technique_of_a_long_name[first_parameter=0.123456,second=2]"
PLAIN = [
    ({}, 0.5),
    ({"sampler": "cb_sampler"}, 0.6),
    ({"view": "tta"}, 0.51),
    ({"sampler": "cb_sampler", "view": "tta"}, 0.62),
]
WORDY = [({}, 0.5), ({"loss": LONG}, 0.5), ({"mix": LONG.replace("a_", "b_", 1)}, 0.51),
         ({"loss": LONG, "mix": LONG.replace("a_", "b_", 1)}, 0.5), ({"loss": LONG.replace("=2", "=3")}, 0.5)]  # fmt: skip


def page(
    rows: Sequence[tuple[dict[str, str], float]], classes: Sequence[str], factors: Sequence[float]
) -> list[Record]:
    many = len(classes)
    accuracy = [(10 + c % 80) / 100 for c in range(many)]
    confusion = [[10 * (t == p) + (t + p) % 7 for p in range(many)] for t in range(many)]
    per_class = dict.fromkeys(("accuracy", "precision", "recall", "f1"), accuracy) | {"support": [100.0] * many}
    curve = {"epoch": [1.0, 2.0], "loss": [2.0, 1.0], "lr": [0.1, 0.1], "accuracy": [0.3, 0.6]}
    return [
        synthetic.record(row, factor, seed, {"top1": top1 + 0.01 * seed - factor / 2000}, classes=classes,
                         per_class=per_class, confusion=confusion, curve=curve)
        for row, top1 in rows for factor in factors for seed in (0, 1)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def judged() -> set[tuple[str, str]]:
    """Kind and data of the figures that were judged: many do not depend on the classes, or on the rows."""
    return set()


@pytest.mark.parametrize("rows", [PLAIN, WORDY], ids=["short", "long"])
@pytest.mark.parametrize("many", [2, 10, 12, 15, 20, 60])
def test_every_figure_is_legible(
    rows: Sequence[tuple[dict[str, str], float]], many: int, judged: set[tuple[str, str]]
) -> None:
    classes = [f"a longer class {c}" if c % 3 else f"class {c}" for c in range(many)]
    found = place_figures(SuiteFacts(name="s", figures=DRAWN), page(rows, classes, (10.0, 200.0)))
    assert len({drawing.kind for group in found for drawing in group.drawings}) > 9
    for drawing in (drawing for group in found for drawing in group.drawings):
        if (drawing.kind, repr(drawing.data)) in judged:
            continue
        judged.add((drawing.kind, repr(drawing.data)))
        with mpl.rc_context(STYLE):
            made = drawing.draw(drawing.data)
            assert overlaps(made) == [], drawing.name
            assert smallest_text(made) >= SMALLEST, drawing.name


def test_a_text_that_covers_another_one_is_found() -> None:
    from matplotlib.figure import Figure as Empty

    made = Empty(figsize=(WIDTH, 2.0))
    made.text(0.5, 0.5, "first")
    made.text(0.5, 0.5, "second")
    made.text(0.99, 0.2, "a text that leaves the figure")
    assert set(overlaps(made)) == {("first", "second"), ("a text that leaves the figure", "the edge")}
