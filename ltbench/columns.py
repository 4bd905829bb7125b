"""Columns of leaderboards: how the numbers of a metric are shown."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

TOP1: Final = "top1"
"""Top-1 accuracy, which leaderboards rank by where the test split is balanced."""
BALANCED: Final = "balanced_accuracy"
"""Balanced accuracy, the mean of the accuracies of the classes, which they rank by where it is not."""
CLASS_ACCURACY: Final = "accuracy"
"""The number per class that figures and published tables show."""
CLASS_SUPPORT: Final = "support"
"""The number per class that counts test images."""
PER_CLASS: Final = "per_class."
"""What the name of a list with one number per class begins with."""
Unit = Literal["percent", "plain"]


class Column(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How leaderboards show one number of a metric."""

    name: str
    """The name under which `compute` returns it: `few`, `per_class.f1`."""
    title: str
    """Heading of the column; tables are narrow, so a word or two."""
    long_title: str = ""
    """Name in full; empty where the title is that."""
    description: str = ""
    """What it measures, in a sentence or two."""
    higher_is_better: bool = True
    unit: Unit = "percent"
    """`percent`: a fraction, shown times 100 with one decimal. `plain`: shown as it is, with three."""
    shown: Literal["main", "folded", "report", "export"] = "folded"
    """The first place that has it: the main table of a page, the folded one below it, the HTML report, `table.csv`.

    A main table has eight columns at most; those of the lowest priority are folded.

    The terminal has what the page has, as far as it is wide enough. `export` has every number, whatever is set here.
    """
    order: int = 0
    """Place in a table: lower is further to the left, equal ones stay in the order in which they are declared."""
    priority: int = 0
    """Where there is no room for all, in a main table or a narrow terminal, those of the lowest priority are left out."""

    @property
    def per_class(self) -> bool:
        """Whether it is a list with one number per class."""
        return self.name.startswith(PER_CLASS)

    @property
    def full_title(self) -> str:
        """The name in full."""
        return self.long_title or self.title

    @property
    def full_description(self) -> str:
        """The description, and which end is good where that is the low one."""
        return self.description if self.higher_is_better else f"{self.description} Low is good.".lstrip()
