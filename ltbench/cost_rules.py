"""Costs of wrong decisions by rule, for pairs of classes: of thousands of classes a matrix would take gigabytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    IntArray = NDArray[np.int64]


_BLOCK = 1024
"""True classes whose costs are in memory at once."""


class CostPart(NamedTuple):
    """A part of costs for classes in their order."""

    true: NDArray[np.bool_] | None
    """bool [C]: whether a class is one of the true ones; None for all."""
    predicted: NDArray[np.bool_] | None
    with_correct: bool
    """Whether it is the cost of a correct decision, which names one class twice; several classes are errors between them."""
    cost: float
    """NaN for none."""


class CostRules(NamedTuple):
    """Costs for classes in their order. Of thousands of classes a matrix would take gigabytes."""

    parts: tuple[CostPart, ...]
    classes: tuple[str, ...]

    def at(self, true: IntArray | int, predicted: IntArray) -> NDArray[np.float64]:
        """Return the costs of pairs of classes, float [P]."""
        import numpy as np

        wrong = predicted != true
        costs: NDArray[np.float64] = wrong.astype(np.float64)
        for part in self.parts:
            here = np.ones(len(costs), dtype=bool) if part.with_correct else wrong.copy()
            here &= True if part.true is None else part.true[true]
            here &= True if part.predicted is None else part.predicted[predicted]
            costs[here] = part.cost
        return costs

    def rows(self) -> Iterator[NDArray[np.float64]]:
        """Yield the costs of one true class after the other, float [C]."""
        import numpy as np

        every = np.arange(len(self.classes))
        return (self.at(true, every) for true in range(len(self.classes)))

    def matrix(self) -> NDArray[np.float64]:
        """Return all costs, float [C, C]."""
        import numpy as np

        return np.stack(list(self.rows()))

    def expected(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the expected cost of each decision, float64 [N, C]. probabilities: float64 [N, C], of the true classes."""
        import numpy as np

        rows = self.rows()
        found = np.zeros(probabilities.shape)
        for start in range(0, len(self.classes), _BLOCK):
            these = probabilities[:, start : start + _BLOCK]
            found += these @ np.stack([next(rows) for _ in range(these.shape[1])])
        return found

    def largest(self) -> float:
        """Return the largest cost."""
        return max(float(row.max()) for row in self.rows())
