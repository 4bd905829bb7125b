"""Columns of leaderboards: how the numbers of a metric are shown."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

TOP1: Final = "top1"
"""Top-1 accuracy, by which leaderboards rank if the test split is balanced."""
BALANCED: Final = "balanced_accuracy"
"""Balanced accuracy, the mean of per-class accuracies, by which leaderboards rank if it is not balanced."""
CLASS_ACCURACY: Final = "accuracy"
"""The per-class metric that figures and published tables show."""
CLASS_SUPPORT: Final = "support"
"""The per-class number of test images."""
PER_CLASS: Final = "per_class."
"""Prefix of the names of per-class metrics."""
HELD_OUT: Final = "held_out."
"""Prefix of the names of numbers on held-out images."""
Unit = Literal["percent", "plain"]


class Column(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How leaderboards show one number of a metric."""

    name: str
    """The name under which `compute` returns it: `few`, `per_class.f1`."""
    title: str
    """Heading of the column: one or two words, because tables are narrow."""
    long_title: str = ""
    """Full name; empty if it is the title."""
    description: str = ""
    """What it measures, in one or two sentences."""
    higher_is_better: bool = True
    unit: Unit = "percent"
    """`percent`: a fraction, shown times 100 with one decimal. `plain`: shown unchanged, with three decimals."""
    shown: Literal["main", "folded", "report", "export"] = "folded"
    """The first place that shows it: the main table of a page, the folded one below it, the HTML report, `table.csv`.

    A main table has eight columns at most; those of the lowest priority are folded.

    The terminal shows the columns of the page that fit. `export` writes every number.
    """
    order: int = 0
    """Position in a table: lower is further left; ties are in order of declaration."""
    priority: int = 0
    """Columns with the lowest priority are dropped first, from a main table of more than eight and in a narrow terminal."""

    @property
    def per_class(self) -> bool:
        """Whether it is a list with one number per class."""
        return self.name.startswith(PER_CLASS)

    def on_held_out(self) -> Column:
        """Return the column of the same number on held-out images: in the HTML report if that of the test images is shown."""
        return msgspec.structs.replace(
            self,
            name=HELD_OUT + self.name,
            title=f"held-out {self.title}",
            long_title=f"{self.full_title} on held-out images",
            description=f"On the training images that were held out: {self.description}",
            shown="export" if self.shown == "export" else "report",
            priority=0,
        )

    @property
    def full_title(self) -> str:
        """The full name."""
        return self.long_title or self.title

    @property
    def full_description(self) -> str:
        """The description, with a remark if low values are good."""
        return self.description if self.higher_is_better else f"{self.description} Low is good.".lstrip()
