"""The linear model of what techniques add, by which screening designs are chosen and their pages are estimated.

It has a mean, an effect of each technique in the place of the baseline of its stage, and of each declared pair what it adds
beyond the sum of both. An effect is averaged over the rows, also over those without and with its partner in a pair.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Hashable, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

T = TypeVar("T", bound=Hashable)
_PRIME = 2_147_483_629
"""A prime just below 2^31, so that products of two residues fit into 64 bits."""
_SHARE = 1e-6
"""A smaller share of an interaction is rounding."""


class EffectModel(Generic[T]):
    """The model of some rows.

    techniques: the effects; pairs: those whose interaction is an effect, too.
    """

    def __init__(
        self, rows: Sequence[Collection[T]], techniques: Sequence[T], pairs: Sequence[tuple[T, T]] = ()
    ) -> None:
        import numpy as np

        there = [[technique in row for technique in techniques] for row in rows]
        self._there: npt.NDArray[np.int64] = np.array(there, dtype=np.int64).reshape(len(rows), len(techniques))
        self._column = {technique: column for column, technique in enumerate(techniques)}
        effects: list[tuple[T, ...]] = [*((technique,) for technique in techniques), *pairs]
        products = [self._there[:, [self._column[one] for one in effect]].prod(axis=1) for effect in effects]
        known = estimable(np.column_stack([np.ones(len(rows), dtype=np.int64), *products]))[1:]
        self.effects = [effect for effect, there in zip(effects, known, strict=True) if there]
        """Techniques, and pairs of them, whose effect can be estimated."""
        self.unknown = [effect for effect, there in zip(effects, known, strict=True) if not there]
        """Those whose effect cannot be."""

    def weights(self) -> Floats:
        """Return float [effects, rows]: the weighted sums of rows that estimate the effects by least squares."""
        import numpy as np

        singles = [(technique,) for technique in self._column]
        modelled = [*singles, *(effect for effect in self.effects if len(effect) > 1)]
        inverse = np.linalg.pinv(self._matrix())
        return np.asarray(inverse[[1 + modelled.index(effect) for effect in self.effects]])

    def residuals(self) -> Floats:
        """Return float [rows, rows]: what turns scores into the part that the model does not explain."""
        import numpy as np

        matrix = self._matrix()
        return np.asarray(np.eye(len(matrix)) - matrix @ np.linalg.pinv(matrix))

    def _matrix(self) -> Floats:
        import numpy as np

        pairs = [effect for effect in self.effects if len(effect) > 1]
        return np.column_stack([np.ones(len(self._there)), self._there, *map(self._centred, pairs)])

    def aliased(self, pairs: Sequence[tuple[T, T]]) -> Floats:
        """Return float [effects, pairs]: how much of what other pairs add beyond their sum is in each estimate."""
        import numpy as np

        shares = self.weights() @ np.column_stack([np.zeros((len(self._there), 0)), *map(self._centred, pairs)])
        return np.where(np.abs(shares) > _SHARE, shares, 0.0)

    def other_pairs(self) -> list[tuple[T, T]]:
        """Return the pairs of techniques that some row has and that are no effect of the model."""
        together = self._there.T @ self._there
        known = {frozenset(effect) for effect in self.effects if len(effect) > 1}
        return [
            (one, two)
            for one, two in itertools.combinations(self._column, 2)
            if together[self._column[one], self._column[two]] and frozenset((one, two)) not in known
        ]

    def _centred(self, effect: Sequence[T]) -> Floats:
        columns: Any = self._there[:, [self._column[one] for one in effect]]
        return (columns - columns.mean(axis=0)).prod(axis=1) if len(effect) > 1 else columns[:, 0].astype(float)  # type: ignore[no-any-return]


def estimable(matrix: npt.NDArray[np.int64]) -> list[bool]:
    """Return whether the coefficient of each column of a model can be estimated. matrix: int [rows, columns].

    It can if its unit vector is a combination of rows, so if nothing else is in its row of the reduced echelon form.
    Computed in integers modulo a prime, in which a rank is too small only by a chance of one in a billion.
    """
    import numpy as np

    left = matrix % _PRIME
    pivots: list[int] = []
    for column in range(left.shape[1]):
        row = len(pivots)
        below = np.flatnonzero(left[row:, column])
        if len(below):
            left[[row, row + below[0]]] = left[[row + below[0], row]]
            left[row] = left[row] * pow(int(left[row, column]), -1, _PRIME) % _PRIME
            factors = left[:, column].copy()
            factors[row] = 0
            left = (left - factors[:, None] * left[row]) % _PRIME
            pivots.append(column)
    alone = {column for row, column in enumerate(pivots) if np.count_nonzero(left[row]) == 1}
    return [column in alone for column in range(left.shape[1])]
