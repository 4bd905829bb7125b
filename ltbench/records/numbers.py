"""The numbers of a cell on the images of one split, and the only place that knows how a record stores them.

Up to `READABLE` classes, numbers per class and the confusion matrix are lists, which people can read. With more, they are
packed (`ltbench.records.packed`), and of the matrix only the pairs of classes that occur are stored:

    per_class    {"f1": "confusion:f1", "share": "f8:eJxj..."}          what follows from the matrix is not stored twice
    confusion    {"classes": C, "gaps": "u2:...", "images": "u1:..."}    gap: pairs without images since the last pair

Records of earlier versions have lists whatever the number of classes; they are read as they are and stay what they are. Users see
`Numbers.per_class` and `Numbers.confusion`, which are the same for both forms and are made when they are asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Raw

from ltbench.confusion import Confusion
from ltbench.core.spec import canonical
from ltbench.records import shape
from ltbench.records.packed import Number, pack, pack_numbers, unpack, unpack_numbers

READABLE: Final = 20
"""Largest number of classes whose numbers are stored as lists."""
DIGESTED: Final = 1_000
"""Largest number of classes whose confusion matrix enters the result digest row by row, as all did in earlier versions."""
MOST_IMAGES: Final = 10**9 - 1
"""Most images of a pair of classes, so that no sum overflows."""
_NO_COUNT = re.compile(rb"[0-9]{10}|[\[,]0[0-9]")
_NONE = Raw(b"[]")
_DIGITS = b"0123456789"

_FOLLOWS = "confusion:"
_FOLLOWING: Final[Mapping[str, Callable[[Confusion], list[Any]]]] = {
    f"{_FOLLOWS}recall": Confusion.recall,
    f"{_FOLLOWS}precision": Confusion.precision,
    f"{_FOLLOWS}f1": Confusion.f1,
    f"{_FOLLOWS}support": lambda confusion: confusion.support.tolist(),
}
"""What is written in place of numbers that are these, bit by bit."""

Stored = Annotated[list[shape.Number], Meta(max_length=shape.CLASSES)] | shape.Packed


class _Pairs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A packed confusion matrix."""

    classes: Annotated[int, Meta(ge=1, le=shape.CLASSES)]
    gaps: shape.Packed
    images: shape.Packed


class PerClass(Mapping[str, list[Number]]):
    """Numbers by name, one per class; a list that is not stored as one is made when it is asked for."""

    def __init__(self, numbers: Numbers) -> None:
        self._numbers, self._stored = numbers, numbers.stored_per_class

    def __getitem__(self, name: str) -> list[Number]:
        stored = self._stored[name]
        if isinstance(stored, list):
            return stored
        if (follow := _FOLLOWING.get(stored)) and (confusion := self._numbers.confusion):
            return follow(confusion)
        return unpack_numbers(stored)

    def __contains__(self, name: object) -> bool:
        return name in self._stored

    def __iter__(self) -> Iterator[str]:
        return iter(self._stored)

    def __len__(self) -> int:
        return len(self._stored)


class Numbers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """The numbers of a cell on the images of one split."""

    metrics: shape.Metrics = {}
    stored_per_class: Annotated[dict[shape.Key, Stored], Meta(max_length=1000)] = msgspec.field(
        default_factory=dict, name="per_class"
    )
    stored_confusion: Raw = msgspec.field(default=_NONE, name="confusion")
    """JSON: rows, or `_Pairs`."""

    @property
    def per_class(self) -> PerClass:
        """Name -> one number per class, in label order."""
        return PerClass(self)

    @property
    def confusion(self) -> Confusion | None:
        """Images by true and predicted class; None if the record has none."""
        text = bytes(self.stored_confusion)
        if text == b"[]":
            return None
        if text.startswith(b"["):
            return Confusion.of_rows(msgspec.json.decode(text, type=list[list[int]]))
        return _unpacked(msgspec.json.decode(text, type=_Pairs))

    @property
    def has_confusion(self) -> bool:
        """Whether there is a confusion matrix."""
        return bytes(self.stored_confusion) != b"[]"

    @property
    def is_packed(self) -> bool:
        """Whether some numbers are packed."""
        packed = any(isinstance(values, str) for values in self.stored_per_class.values())
        return packed or bytes(self.stored_confusion).startswith(b"{")

    def problem(self, prefix: str) -> str:
        """Return a problem that the schema cannot express; empty if there is none. prefix: of the names of fields."""
        try:
            classes = _classes(bytes(self.stored_confusion))
        except ValueError as error:
            return f"{prefix}confusion {error}"
        for name, values in self.stored_per_class.items():
            if isinstance(values, str):
                if classes and values in _FOLLOWING:
                    continue
                try:
                    many = _packed_numbers(values, classes or shape.CLASSES)
                except ValueError as error:
                    return f"{prefix}per_class.{name}: {error}"
            else:
                many = len(values)
            if classes and many != classes:
                return f"{prefix}per_class.{name} has {many} numbers for {classes} classes"
        return ""

    def canonical_fields(self) -> dict[str, Any]:
        """Return the fields with another text of the same JSON, if the confusion matrix was written in another way."""
        text = bytes(self.stored_confusion)
        if text == b"[]" or (text.startswith(b"[") and _square(text)):
            return {}
        found = canonical(msgspec.json.decode(text))
        return {} if found == text else {"stored_confusion": Raw(found)}

    def digested_fields(self) -> dict[str, Any]:
        """Return the fields in a form that follows from the numbers alone, whichever way they are stored."""
        text = bytes(self.stored_confusion)
        lists = dict(self.per_class)
        classes = _classes(text)
        if text.startswith(b"[") and classes <= DIGESTED:
            return {"stored_per_class": lists}
        confusion = self.confusion
        if confusion is None:
            return {"stored_per_class": lists}
        if classes <= DIGESTED:
            found = b"[%b]" % b",".join(map(canonical, confusion.rows()))
        else:
            found = canonical(
                {"classes": classes, "pairs": confusion.pairs.tolist(), "images": confusion.images.tolist()}
            )
        return {"stored_per_class": lists, "stored_confusion": Raw(found)}


def stored_fields(numbers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a split as a new record stores them, as plain JSON values.

    numbers: with lists or packed numbers in `per_class`; in `confusion` a `Confusion`, its rows, or what a record stores.
    """
    found = dict(numbers)
    confusion = found.get("confusion")
    if isinstance(confusion, list) and len(confusion) > READABLE and _square(canonical(confusion)):
        confusion = Confusion.of_rows(confusion)
    following: dict[bytes, str] = {}
    if isinstance(confusion, Confusion):
        few = confusion.classes <= READABLE
        found["confusion"] = list(confusion.rows()) if few else msgspec.to_builtins(_packed(confusion))
        following = {} if few else {canonical(follow(confusion)): text for text, follow in _FOLLOWING.items()}
    if isinstance(per_class := found.get("per_class"), Mapping):
        found["per_class"] = {
            name: following.get(canonical(values)) or pack_numbers(values)
            if isinstance(values, list) and len(values) > READABLE
            else values
            for name, values in per_class.items()
        }
    return found


def _packed(confusion: Confusion) -> _Pairs:
    import numpy as np

    gaps = np.diff(confusion.pairs, prepend=-1) - 1
    return _Pairs(classes=confusion.classes, gaps=pack(gaps), images=pack(confusion.images))


def _packed_numbers(text: str, most: int) -> int:
    """Return how many numbers per class a text has. Raises `ValueError` if one is infinite or too large."""
    import numpy as np

    found = unpack(text, most)
    if not (np.isnan(found) | (np.abs(found) <= shape.LARGEST)).all():
        raise ValueError("a number is infinite or too large")
    return len(found)


def _unpacked(stored: _Pairs) -> Confusion:
    """Return a packed confusion matrix. Raises `ValueError` if it is not one."""
    import numpy as np

    gaps, images = unpack(stored.gaps), unpack(stored.images)
    confusion = Confusion(stored.classes, np.cumsum(gaps + 1) - 1, images)
    if not confusion.is_sound or (images > MOST_IMAGES).any():
        raise ValueError(f"is not a list of pairs of {stored.classes} classes with the images of each")
    return confusion


def _classes(text: bytes) -> int:
    """Return the number of classes of a stored confusion matrix, 0 without one. Raises `ValueError` if it is not one."""
    if text == b"[]":
        return 0
    if text.startswith(b"["):
        if classes := _square(text):
            return classes
        raise ValueError("is not square, or has numbers that are no counts")
    try:
        return _unpacked(msgspec.json.decode(text, type=_Pairs)).classes
    except msgspec.ValidationError as error:
        raise ValueError(f"does not follow the schema: {error}") from None


def _square(text: bytes) -> int:
    """Return the number of classes of rows in canonical JSON; 0 if they are not a square of counts.

    What is left without digits tells it; to make lists of all numbers takes longer than all else that reads a record.
    """
    frame = text.translate(None, _DIGITS)
    classes = frame.find(b"]") - 1
    if _NO_COUNT.search(text):
        return 0
    # A row without a number has the frame of a row with one.
    return classes if classes > 0 and frame == _frame(classes) and text != frame else 0


@lru_cache(maxsize=64)
def _frame(classes: int) -> bytes:
    row = b"[%b]" % (b"," * (classes - 1))
    return b"[%b]" % b",".join([row] * classes)
