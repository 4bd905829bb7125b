"""Colours and markers of combinations: the same on every figure of a page."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

GREY = "#6b6b6b"
"""The reference."""
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito's palette for colour-blind readers, without black and without its yellow, too light for lines."""
MARKERS = ("s", "^", "D", "v", "P", "X")


class Look(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a combination is drawn; colour, marker and dashes each tell combinations apart in print without colours."""

    color: str = GREY
    marker: str = "o"
    """A marker of matplotlib."""
    dashed: bool = False
    """Whether its line is dashed: that of several techniques together."""

    @property
    def is_reference(self) -> bool:
        """Whether it is that of the reference."""
        return self.color == GREY

    @property
    def line(self) -> str | tuple[int, tuple[float, ...]]:
        """The line style of matplotlib."""
        return (0, (4.0, 1.6)) if self.dashed else "-"

    def tint(self, strength: float) -> str:
        """Return the colour mixed with white: 1 leaves it as it is, 0 is white.

        >>> Look(color="#0072B2").tint(0.5)
        '#80b8d8'
        """
        parts = (int(self.color[i : i + 2], 16) for i in (1, 3, 5))
        return "#" + "".join(f"{int(255 - strength * (255 - part) + 0.5):02x}" for part in parts)


def page_looks(labels: Iterable[str], reference: str) -> dict[str, Look]:
    """Return label -> look of all combinations of a page.

    labels: most important first, in any number and repeated or not. The first six have a colour each; the next ones
    repeat the colours with other markers. The reference is grey.
    """
    looks = {reference: Look()}
    for number, label in enumerate(one for one in dict.fromkeys(labels) if one != reference):
        turn, place = divmod(number, len(COLORS))
        looks[label] = Look(
            color=COLORS[place], marker=MARKERS[(place + turn) % len(MARKERS)], dashed=" + " in label
        )  # fmt: skip
    return looks
