"""Confusion matrices, of which only the pairs of classes that occur are kept: of 8,142 classes there are 66 million pairs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    IntArray = NDArray[np.int64]


class Confusion:
    """Images by true and predicted class; pairs without images are left out.

    >>> counted = Confusion.of([0, 0, 2], [0, 2, 2], classes=3)
    >>> list(counted.rows())
    [[1, 0, 1], [0, 0, 0], [0, 0, 1]]
    >>> counted.support.tolist(), counted.hits.tolist(), counted.predictions.tolist()
    ([2, 0, 1], [1, 0, 1], [1, 0, 2])
    """

    def __init__(self, classes: int, pairs: IntArray, images: IntArray) -> None:
        """classes: C; pairs: int64 [P], C * true class + predicted class, ascending; images: int64 [P], of each pair."""
        self.classes, self.pairs, self.images = classes, pairs, images

    @classmethod
    def of(cls, labels: Sequence[int] | IntArray, predicted: Sequence[int] | IntArray, classes: int) -> Confusion:
        """Return the confusion matrix of predictions. labels, predicted: classes int64 [N]."""
        import numpy as np

        true, taken = np.asarray(labels, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
        return cls(classes, *np.unique(true * classes + taken, return_counts=True))

    @classmethod
    def of_rows(cls, rows: Sequence[Sequence[int]] | IntArray) -> Confusion:
        """Return the confusion matrix with these rows, one for each true class: a square of counts."""
        import numpy as np

        dense = np.asarray(rows, dtype=np.int64).reshape(-1)
        pairs = np.flatnonzero(dense)
        return cls(len(rows), pairs, dense[pairs])

    @classmethod
    def total(cls, parts: Iterable[Confusion]) -> Confusion:
        """Return the sum of confusion matrices of the same classes, of which there is at least one."""
        import numpy as np

        parts = list(parts)
        if len(sizes := {part.classes for part in parts}) != 1:
            raise ValueError(f"confusion matrices of {sorted(sizes)} classes cannot be added")
        pairs, place = np.unique(np.concatenate([part.pairs for part in parts]), return_inverse=True)
        images = np.zeros(len(pairs), dtype=np.int64)
        np.add.at(images, place, np.concatenate([part.images for part in parts]))
        return cls(sizes.pop(), pairs, images)

    @property
    def is_sound(self) -> bool:
        """Whether pairs are of these classes, in order and each once, and have images."""
        import numpy as np

        pairs, images = np.asarray(self.pairs), np.asarray(self.images)
        if pairs.ndim != 1 or pairs.shape != images.shape or {pairs.dtype.kind, images.dtype.kind} != {"i"}:
            return False
        inside = not len(pairs) or (pairs[0] >= 0 and pairs[-1] < self.classes**2)
        return bool(inside and (np.diff(pairs) > 0).all() and (images > 0).all())

    @cached_property
    def true(self) -> IntArray:
        """The true class of each pair, int64 [P]."""
        return self.pairs // self.classes

    @cached_property
    def predicted(self) -> IntArray:
        """The predicted class of each pair, int64 [P]."""
        return self.pairs % self.classes

    @property
    def support(self) -> IntArray:
        """Images of each true class, int64 [C]."""
        return self._sums(self.true)

    @property
    def predictions(self) -> IntArray:
        """Images that were taken for each class, int64 [C]."""
        return self._sums(self.predicted)

    @property
    def hits(self) -> IntArray:
        """Images of each class that were taken for it, int64 [C]."""
        right = self.true == self.predicted
        return self._sums(self.true[right], self.images[right])

    def _sums(self, place: IntArray, images: IntArray | None = None) -> IntArray:
        import numpy as np

        # Not the weights of `bincount`, which are floating-point numbers.
        sums = np.zeros(self.classes, dtype=np.int64)
        np.add.at(sums, place, self.images if images is None else images)
        return sums

    def recall(self) -> list[float | None]:
        """Return the share of the images of each class that were taken for it, [C]; None for a class without images."""
        return [h / s if s else None for h, s in zip(self.hits.tolist(), self.support.tolist(), strict=True)]

    def precision(self) -> list[float]:
        """Return the share of what was taken for each class that belongs to it, [C]; 0 for a class that was never predicted."""
        return [h / g if g else 0.0 for h, g in zip(self.hits.tolist(), self.predictions.tolist(), strict=True)]

    def f1(self) -> list[float]:
        """Return the harmonic mean of recall and precision of each class, [C]; 0 for a class that does not occur.

        2 TP / (2 TP + FP + FN), which is 2 TP / (predicted + actual).
        """
        both = (self.predictions + self.support).tolist()
        return [2 * h / n if n else 0.0 for h, n in zip(self.hits.tolist(), both, strict=True)]

    def rows(self) -> Iterator[list[int]]:
        """Yield the counts of one true class after the other: lists of C."""
        import numpy as np

        ends = np.searchsorted(self.true, np.arange(self.classes + 1))
        for start, end in pairwise(ends.tolist()):
            row = np.zeros(self.classes, dtype=np.int64)
            row[self.predicted[start:end]] = self.images[start:end]
            yield row.tolist()

    def merged(self, group_of: IntArray, groups: int) -> IntArray:
        """Return images by group of the true class and group of the predicted one, int64 [G, G].

        group_of: int64 [C]; a few groups, or a permutation of a few classes.
        """
        import numpy as np

        result = np.zeros((groups, groups), dtype=np.int64)
        np.add.at(result, (group_of[self.true], group_of[self.predicted]), self.images)
        return result

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Confusion):
            return NotImplemented
        mine, theirs = ((one.classes, one.pairs.tolist(), one.images.tolist()) for one in (self, other))
        return mine == theirs

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Confusion({self.classes} classes, {int(self.images.sum())} images in {len(self.pairs)} pairs)"
