"""What the images of a data set are like: sizes, colours, copies, unreadable files, rare classes; and notes on it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from ltbench.data_report import Census, Copies, SkippedFiles, UnreadableFile
from ltbench.image_files.decode import Reading, Rules
from ltbench.image_files.names import listed, plain
from ltbench_plugins.datasets._remarks import images as in_words

FEW = 3
"""Classes with fewer images are named."""
_ALONE = 20
"""Unreadable files that a report lists one by one."""
_SPLITS = {"train": "training", "test": "test", "valid": "validation"}


class Seen(msgspec.Struct, frozen=True):
    """A file of a data set, and what was found in it."""

    name: str
    """Relative to the folder of the data set, with /"""
    label: int
    split: str
    """train, test or valid"""
    reading: Reading


def census(classes: Sequence[str], order: str, seen: Sequence[Seen], splits: Sequence[str], rules: Rules) -> Census:
    """Return the census of the files of a data set, read by `rules`. At least one of them is readable."""
    good = [one for one in seen if not one.reading.problem]
    counts = {split: [0] * len(classes) for split in splits}
    for one in good:
        counts[one.split][one.label] += 1
    total = [sum(each) for each in zip(*counts.values(), strict=True)]
    by_area = sorted(((one.reading.width, one.reading.height) for one in good), key=lambda wh: (wh[0] * wh[1], wh))
    decisive = [(max if rules.fit == "pad" else min)(sides) for sides in by_area]
    colours = Counter(one.reading.colour for one in good)
    return Census(
        classes=tuple(classes),
        order=order,
        images={split: tuple(numbers) for split, numbers in counts.items()},
        smallest=by_area[0],
        median=by_area[(len(by_area) - 1) // 2],
        largest=by_area[-1],
        enlarged=sum(side < rules.size for side in decisive),
        reduced=sum(side > rules.size for side in decisive),
        colours=dict(sorted(colours.items(), key=lambda pair: (-pair[1], pair[0]))),
        copies=tuple(_copies(good, classes)),
        unreadable=tuple(
            UnreadableFile(file=one.name, label=classes[one.label], reason=one.reading.problem)
            for one in seen
            if one.reading.problem
        ),
        few=tuple(name for name, number in zip(classes, total, strict=True) if number < FEW),
    )


def _copies(seen: Sequence[Seen], classes: Sequence[str]) -> Iterator[Copies]:
    same: dict[str, list[Seen]] = {}
    for one in seen:
        same.setdefault(one.reading.digest, []).append(one)
    for ones in same.values():
        if len(ones) > 1:
            yield Copies(
                files=tuple(one.name for one in ones),
                labels=tuple(classes[one.label] for one in ones),
                splits=tuple(one.split for one in ones),
            )


def notes(known: Census, rules: Rules) -> list[str]:
    """Return notes on a census, without full stops."""
    every, size = sum(known.counts), rules.size
    ends = f"{_by(known.smallest)} to {_by(known.largest)} pixels, median {_by(known.median)}"
    lines = [
        f"classes are in the order {known.order}",
        f"sizes: {ends}; of {in_words(every)}, {known.enlarged:,} enlarged and {known.reduced:,} reduced to {size} x {size}",
        "colours: " + ", ".join(f"{number:,} {colour}" for colour, number in known.colours.items()),
        *_copy_notes(known),
    ]
    if known.few:
        numbers = dict(zip(known.classes, known.counts, strict=True))
        few = listed([f"'{name}' ({numbers[name]})" for name in known.few])
        lines.append(f"classes with fewer than {FEW} images: {few}")
    return lines


def _copy_notes(known: Census) -> Iterator[str]:
    """Yield notes on images that are identical before cropping and resizing: in two splits, in two classes, or repeated."""
    for split, word in _SPLITS.items():
        if split == "train" or split not in known.images:
            continue
        shared = other = 0
        for copies in known.copies:
            training = {label for label, where in zip(copies.labels, copies.splits, strict=True) if where == "train"}
            of = [label for label, where in zip(copies.labels, copies.splits, strict=True) if where == split]
            shared += len(of) if training else 0
            other += sum(label not in training for label in of) if training else 0
        if shared:
            yield (
                f"{shared:,} of {sum(known.images[split]):,} {word} images are identical to a training image"
                + (f", {other:,} of them with another label" if other else "")
            )
    repeated = sum(max(copies.splits.count("train") - 1, 0) for copies in known.copies)
    if repeated:
        yield f"{repeated:,} of {sum(known.images['train']):,} training images are duplicates"
    if several := [copies for copies in known.copies if len(set(copies.labels)) > 1]:
        # The first file of each class.
        first = (dict(zip(reversed(copies.labels), reversed(copies.files), strict=True)) for copies in several)
        shown = listed([" and ".join(sorted(files.values())[:2]) for files in first])
        yield f"{in_words(len(several))} in more than one class: {shown}"


def untested(names: Sequence[str], labels: Sequence[int]) -> list[str]:
    """Return a note on classes without test images."""
    if not labels:
        return []
    which = listed([f"'{names[label]}'" for label in labels])
    return [f"classes without test images (recall is undefined): {which}"]


def warnings(known: Census) -> list[str]:
    """Return warnings on classes of which more than half of the files are unreadable."""
    failed = Counter(file.label for file in known.unreadable)
    numbers = zip(known.classes, known.counts, strict=True)
    return [
        f"{failed[name]:,} of {failed[name] + good:,} files of class '{name}' are unreadable"
        for name, good in numbers
        if failed[name] > good
    ]


def skipped(known: Census) -> list[SkippedFiles]:
    """Return unreadable files as a report lists them: the first ones one by one, the others by class."""
    alone = [
        SkippedFiles(
            place=_shown(one.file, 0), reason=f"unreadable: {one.reason}", number=1, example=_shown(one.file, 1)
        )
        for one in known.unreadable[:_ALONE]
    ]
    others: dict[str, list[UnreadableFile]] = {}
    for one in known.unreadable[_ALONE:]:
        others.setdefault(one.label, []).append(one)
    return alone + [
        SkippedFiles(
            place=f"class {label}",
            reason="unreadable (ltbench data NAME --json lists them)",
            number=len(files),
            example=_shown(files[0].file, 1),
        )
        for label, files in others.items()
    ]


def _shown(file: str, part: int) -> str:
    """Return folder (0) or name (1) of a file; of one outside the data set only the last folder, as reports travel."""
    folder, _, name = file.rpartition("/")
    return (name if part else folder.rpartition("/")[2] if Path(file).is_absolute() else folder) or "."


def _by(sides: tuple[int, int]) -> str:
    return f"{sides[0]} x {sides[1]}"


def relative_names(paths: Sequence[Path | str], folder: Path) -> list[str]:
    """Return the names of files relative to a folder, with /; the whole path of a file outside it."""
    within = str(folder).rstrip(os.sep) + os.sep
    # A prefix, because `relative_to` takes seconds for a hundred thousand files.
    return [plain(str(path).removeprefix(within).replace(os.sep, "/")) for path in paths]
