"""What is said about the images that were read: the rules that were applied, and warnings of Pillow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from ltbench.errors import DataError
from ltbench.image_files.decode import WHITE, Reading, Rules
from ltbench.image_files.grey import exact
from ltbench.image_files.squares import FITTED

SENTENCES = {
    "oblong": "not square: {fitted}",
    "turned": "rotated by their EXIF orientation",
    "exif": "with damaged EXIF data: read as stored",
    "frames": "with several frames or pages: the first is read",
    "clear": "with transparency: composited on grey level {background} (0 is black, 255 white)",
    "deep": "of 16-bit grey: {white} is read as 255",
    "colour": "of 16 bits per colour channel: the upper 8 are read",
    "wide": "of 32-bit integers: {white} is read as 255",
    "float": "of floating-point numbers: {unit} is read as 255",
    "negative": "in which 0 is white (TIFF): inverted",
    "cmyk": "in CMYK: converted, ignoring colour profiles",
    "flat": "of a single colour",
}
"""Traits of a `Reading`, as notes on the images that have them."""


class Traits(msgspec.Struct, frozen=True):
    """How many images have each trait."""

    images: Counter[str]
    """Keys of `SENTENCES` -> images"""
    warned: Counter[str]
    """Warnings of Pillow -> images"""
    deepest: float
    """The highest value of 16-bit grey"""

    @classmethod
    def of(cls, readings: Iterable[Reading]) -> Traits:
        """Count the traits of images; unreadable files do not count."""
        images, warned, deepest = Counter[str](), Counter[str](), 0.0
        for reading in readings:
            if not reading.problem:
                images.update(reading.traits)
                warned.update(set(reading.warned))
                deepest = max(deepest, reading.highest if "deep" in reading.traits else 0.0)
        return cls(images, warned, deepest)

    def check_effect(self, rules: Rules, what: str) -> None:
        """Raise `DataError` for a given rule that has no effect on any image."""
        numbers = sum(self.images[key] for key in ("deep", "wide", "float"))
        for name, given, used, of in (
            ("white", rules.white != 0, numbers, "16-bit, 32-bit or floating-point grey"),
            (
                "background",
                rules.background != WHITE,
                self.images["clear"] + (self.images["oblong"] if rules.fit == "pad" else 0),
                "transparent parts",
            ),
            ("fit", rules.fit != "crop", self.images["oblong"], "sides of different length"),
        ):
            if given and not used:
                raise DataError(f"{name} of {what} changes nothing: no image has {of}", fix=f"leave {name} out")

    def sentences(self, rules: Rules) -> list[str]:
        """Return notes on what was read, without full stops."""
        words = {
            "background": rules.background, "white": exact(rules.white or 65535), "unit": exact(rules.white or 1),
            "fitted": FITTED[rules.fit],
        }  # fmt: skip
        lines = [
            f"{images(number)} {text.format(**words)}"
            for key, text in SENTENCES.items()
            if (number := self.images[key])
        ]
        if self.images["deep"] and not rules.white and 0 < self.deepest < 65535 / 2:
            lines.append(
                f"the highest 16-bit value is {self.deepest:g} of 65535, so the images are dark: "
                f"white={2 ** int(self.deepest).bit_length() - 1} uses the whole range"
            )
        return [*lines, *(f"{images(number)}: {text}" for text, number in sorted(self.warned.items()))]


def images(number: int) -> str:
    """Return a number of images in words."""
    return "1 image" if number == 1 else f"{number:,} images"
