"""Divide images into training and test images, so that copies and images of a group stay together.

What stays together is a unit: images with the same pixels, or of the same group, or both in turn. Without groups, units
are drawn by the content of their images, so the division depends neither on names nor on where the images are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import msgspec

from ltbench.image_files.names import shuffled


class Division(msgspec.Struct, frozen=True, kw_only=True):
    """How images are divided: a fraction of each class for testing, or one of several folds."""

    fraction: float = 0.0
    folds: int = 0
    """Number of folds; 0: a fraction"""
    fold: int = 1
    """The one for testing, 1 to `folds`; 0: all images are for training and for testing"""
    seed: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether nothing is divided."""
        return self.folds > 0 and self.fold == 0

    def drawn(self, members: Mapping[str, Sequence[int]]) -> tuple[set[str], set[str]]:
        """Return the units of the test set, and those that no fold tests. members: unit -> the label of each image."""
        if not self.folds:
            return draw(members, self.fraction, self.seed), set()
        folds = fold_of_each(members, self.folds, self.seed)
        return tuple({unit for unit, fold in folds.items() if fold == one} for one in (self.fold, 0))  # type: ignore[return-value]


def units(digests: Sequence[str], groups: Sequence[str]) -> list[str]:
    """Return the unit of each image: the first of its groups by name, or without groups the digest of its pixels.

    groups: of each image; empty strings for none.
    """
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while (above := parent.setdefault(name, name)) != name:
            parent[name] = name = parent[above]
        return name

    # The prefix keeps a group from being taken for a digest, and sorts groups first.
    names = [
        (f"0{group}" if group else f"1{digest}", f"1{digest}") for digest, group in zip(digests, groups, strict=True)
    ]
    for pair in names:
        first, second = sorted(map(root, pair))
        parent[second] = first
    return [root(first)[1:] for first, _ in names]


def draw(members: Mapping[str, Sequence[int]], fraction: float, seed: int) -> set[str]:
    """Return the units of the test set, so that each class is close to its share.

    Units are tried in a pseudo-random order, those of the rarest class first. A unit is drawn if it brings the test
    counts closer to the shares (relative to them), and leaves every class an image for training. A class without test
    images then gets its smallest unit that leaves one. A class with a single unit has no test images.

    members: unit -> the label of each of its images.
    """
    counts = {unit: Counter(labels) for unit, labels in members.items()}
    totals = Counter(label for labels in members.values() for label in labels)
    shares = {label: max(fraction * total, 1.0) for label, total in totals.items()}
    drawn: set[str] = set()
    test: Counter[int] = Counter()
    own = _by_label(shuffled(members, seed), counts)

    def fits(unit: str) -> bool:
        return unit not in drawn and all(test[c] + n < totals[c] for c, n in counts[unit].items())

    def gain(unit: str) -> float:
        each = ((c, abs(test[c] - shares[c]) - abs(test[c] + n - shares[c])) for c, n in counts[unit].items())
        return sum(nearer / shares[c] for c, nearer in each)

    def take(unit: str) -> None:
        drawn.add(unit)
        test.update(counts[unit])

    for label in sorted(totals, key=lambda c: (totals[c], c)):
        for unit in own[label]:
            if fits(unit) and gain(unit) > 0:
                take(unit)
        if not test[label] and (left := [unit for unit in own[label] if fits(unit)]):
            take(min(left, key=lambda unit: counts[unit].total()))
    return drawn


def fold_of_each(members: Mapping[str, Sequence[int]], folds: int, seed: int) -> dict[str, int]:
    """Return the fold of each unit, 1 to `folds`; 0 for a unit that is for training in every fold.

    Units of the rarest class come first, large ones before small ones, else in a pseudo-random order; each goes to the
    fold with the smallest share of its classes, then with the fewest images. So the numbers of a class without groups
    and copies differ by at most one between folds. Every class has training images in every fold: a unit that holds a
    whole class, or would leave a class without training images wherever it went, is 0.

    members: unit -> the label of each of its images.
    """
    counts = {unit: Counter(labels) for unit, labels in members.items()}
    totals = Counter(label for labels in members.values() for label in labels)
    order = shuffled(members, seed)
    own = _by_label(order, counts)
    placed = {unit: 0 for unit in members if any(len(own[label]) == 1 for label in counts[unit])}
    left = {label: sum(unit not in placed for unit in of) for label, of in own.items()}
    used: dict[int, set[int]] = {label: {0} if left[label] < len(of) else set() for label, of in own.items()}
    have = [Counter[int]() for _ in range(folds + 1)]
    images = [0] * (folds + 1)
    for unit in sorted(order, key=lambda unit: (min(totals[c] for c in counts[unit]), -counts[unit].total())):
        if unit in placed:
            continue
        labels = sorted(counts[unit])
        # The last unit of a class cannot join the others if all of them are in one fold.
        closed = {fold for c in labels if left[c] == 1 and len(used[c]) == 1 for fold in used[c]}
        open_folds = [fold for fold in range(1, folds + 1) if fold not in closed]
        fold = min(
            open_folds, key=lambda f: (sum(have[f][c] / totals[c] for c in labels), images[f], f), default=0
        )  # fmt: skip
        placed[unit] = fold
        have[fold].update(counts[unit])
        images[fold] += counts[unit].total()
        for c in labels:
            left[c] -= 1
            used[c].add(fold)
    return placed


def _by_label(order: Collection[str], counts: Mapping[str, Counter[int]]) -> dict[int, list[str]]:
    """Return the units of each label, in the given order."""
    own: dict[int, list[str]] = {}
    for unit in order:
        for label in counts[unit]:
            own.setdefault(label, []).append(unit)
    return own
