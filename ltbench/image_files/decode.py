"""Read image files as arrays of bytes, by the same rules for every file.

Every image becomes 8-bit grey or RGB, upright and opaque, cropped to its central square and resized:

- It is rotated by its EXIF orientation; of several frames or pages the first is read.
- Transparent parts are composited on grey of level `background`.
- 16-bit grey is scaled so that `white` (65,535) becomes 255, floating-point grey so that 1 does. 32-bit integers
  without `white`, floats outside [0, 1] and values above a given `white` are errors. A TIFF states whether 0 is black
  or white.
- Colour profiles are ignored; CMYK is converted by taking the complement.

Files that cannot be read by these rules are listed in an error. This module does not need torch.
"""

from __future__ import annotations

import os
import struct
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ltbench.errors import DataError
from ltbench.image_files.grey import Refused, exact, is_number, white_is_zero
from ltbench.image_files.names import plain

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL.Image import Image

    Bytes = npt.NDArray[np.uint8]

RULES = 2
"""Version of the rules above; raised when one changes."""
WHITE = 255
_NOT_DECODED = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
"""Formats that Pillow recognises but cannot decode by itself."""
_ORIENTATION = 0x0112
_UPRIGHT = (
    "FLIP_LEFT_RIGHT", "ROTATE_180", "FLIP_TOP_BOTTOM", "TRANSPOSE", "ROTATE_270", "TRANSVERSE", "ROTATE_90"
)  # fmt: skip
"""Transpositions that make images of EXIF orientation 2, 3, ... 8 upright."""
_IN_MEMORY = 1 << 28
"""Larger arrays, in bytes, are mapped from a temporary file."""
_OF_THE_IMAGE = (UserWarning, RuntimeWarning)
_LISTED = 5
_ENOUGH = 20
"""Reading stops after this many unreadable files."""
_SENTENCES = {
    "oblong": "not square: cropped to the central square",
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
"""Notes on images to which a rule was applied."""


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """How the pixels of a data set are read."""

    channels: int
    """1: grey, 3: RGB"""
    size: int
    background: int = WHITE
    white: float = 0.0
    """0: the default of each number type"""


class Readings(msgspec.Struct):
    """Counts and extreme values collected while files are read."""

    images: Counter[str] = msgspec.field(default_factory=Counter)
    """Keys of `_SENTENCES` -> images"""
    warned: Counter[str] = msgspec.field(default_factory=Counter)
    """Warnings of Pillow -> images"""
    deepest: float = 0.0
    """The highest value of 16-bit grey"""
    highest: float = 0.0
    """The highest value of grey of more than 8 bits, including rejected images"""

    def check_effect(self, rules: Rules, what: str) -> None:
        """Raise `DataError` for a given rule that has no effect on any image."""
        numbers = sum(self.images[key] for key in ("deep", "wide", "float"))
        for name, given, used, of in (
            ("white", rules.white != 0, numbers, "16-bit, 32-bit or floating-point grey"),
            ("background", rules.background != WHITE, self.images["clear"], "transparent parts"),
        ):
            if given and not used:
                raise DataError(f"{name} of {what} changes nothing: no image has {of}", fix=f"leave {name} out")

    def sentences(self, rules: Rules) -> list[str]:
        """Return notes on what was read, without full stops."""
        words = {
            "background": rules.background, "white": exact(rules.white or 65535), "unit": exact(rules.white or 1),
        }  # fmt: skip
        lines = [
            f"{_images(number)} {text.format(**words)}"
            for key, text in _SENTENCES.items()
            if (number := self.images[key])
        ]
        if self.images["deep"] and not rules.white and 0 < self.deepest < 65535 / 2:
            lines.append(
                f"the highest 16-bit value is {self.deepest:g} of 65535, so the images are dark: "
                f"white={2 ** int(self.deepest).bit_length() - 1} uses the whole range"
            )
        return [*lines, *(f"{_images(number)}: {text}" for text, number in sorted(self.warned.items()))]


@cache
def formats() -> tuple[str, ...]:
    """Return the formats that the installed Pillow decodes."""
    from PIL import Image

    Image.init()
    # Formats that are recognised by their first bytes are tried first.
    return tuple(sorted(set(Image.OPEN) - _NOT_DECODED, key=lambda name: (Image.OPEN[name][1] is None, name)))


@cache
def endings() -> frozenset[str]:
    """Return the file extensions of these formats, in lower case with a dot."""
    from PIL import Image

    read = formats()
    return frozenset(ending for ending, name in Image.registered_extensions().items() if name in read)


def empty_images(number: int, rules: Rules, folder: Path) -> Bytes:
    """Return an array uint8 [number, channels, size, size]; a large one is mapped from a deleted file in `folder`."""
    import numpy as np

    shape = (number, rules.channels, rules.size, rules.size)
    if (total := int(np.prod(shape))) > _IN_MEMORY and hasattr(os, "posix_fallocate"):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as file:
                # Reserve the space: writing to a mapped page on a full disk would kill the process.
                os.posix_fallocate(file.fileno(), 0, total)
                return np.memmap(file, np.uint8, "r+", shape=shape)
        except OSError:
            pass  # no space or read-only: use memory
    return np.empty(shape, np.uint8)


def decode(
    files: Sequence[Path], into: Iterable[Bytes], rules: Rules, met: Readings,
    with_white: Callable[[float], str] = lambda _: "",
) -> None:  # fmt: skip
    """Read images into N arrays uint8 [channels, size, size]. Raises `DataError` that lists unreadable files.

    with_white: returns the label of the data set with a value for `white`; empty if it has no such parameter.
    """
    refused: list[tuple[Path, Refused]] = []
    for image, file in zip(into, files, strict=True):
        try:
            image[:] = read_image(file, rules, met)
        except Refused as why:
            refused.append((file, why))
            # Files without a known white do not count: the error suggests the highest value of all files.
            if sum(not one.white for _, one in refused) == _ENOUGH:
                break
    if refused:
        raise _error(refused, with_white(met.highest))


def _error(refused: Sequence[tuple[Path, Refused]], whiter: str) -> DataError:
    """Return the error for unreadable files. whiter: label of the data set with a sufficient `white`."""
    (first, why), *others = refused
    name_white = f"state the value of white, as in {whiter}" if whiter else "store it as 8 bits"
    fixes = dict.fromkeys(name_white if one.white else one.fix for _, one in refused)
    number = "1 other" if len(others) == 1 else f"{len(others)} others"
    more = f", nor can {number}" + " or more" * (sum(not one.white for _, one in refused) == _ENOUGH) if others else ""
    listed = "; ".join(f"{plain(str(file))}: {text}" for file, text in others[: _LISTED - 1])
    return DataError(
        f"{plain(str(first))} cannot be read as an image{more}",
        why=f"{why}" + (f"\n       {listed}" if listed else ""),
        fix="; ".join(fixes),
    )


def read_image(source: Path | Image, rules: Rules, met: Readings) -> Bytes:
    """Return the image of a file, or one in memory, as uint8 [channels, size, size]. Raises `Refused`."""
    import numpy as np

    pixels = np.array(_read(source, rules, met)).reshape(rules.size, rules.size, rules.channels)
    met.images["flat"] += bool((pixels == pixels[0, 0]).all())
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _read(source: Path | Image, rules: Rules, met: Readings) -> Image:
    """Return an image of mode L or RGB, [size, size]."""
    from PIL import Image

    file = source if isinstance(source, Path) else Path(getattr(source, "filename", "") or "in memory")
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            with Image.open(source, formats=formats()) if isinstance(source, Path) else nullcontext(source) as opened:
                # Pillow keeps only the upper byte of 16-bit colour, but all bits of 16-bit grey.
                deep_colour = ";16" in str(getattr(opened, "tile", "")) and not is_number(opened.mode)
                if deep_colour and rules.white:
                    raise Refused("it has 16 bits per colour channel, but `white` is for grey", "leave white out")
                met.images["colour"] += deep_colour
                image = _upright(opened, met)
                met.images["oblong"] += image.width != image.height
                negative = is_number(opened.mode) and white_is_zero(opened)
                square = _square(_bytes(image, opened.format or "", rules, met, negative=negative), rules.size)
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError) as error:
        # Pillow raises any of these for a corrupt file.
        if file.is_file() and not file.stat().st_size:
            raise Refused("it is empty") from error
        detail = str(error).replace(f" {os.fspath(file)!r}", "")
        raise Refused(f"{type(error).__name__}: {plain(detail)}") from error
    # Other categories, such as an unclosed file of another thread, are not about the image.
    met.warned.update({plain(str(one.message)) for one in warned if issubclass(one.category, _OF_THE_IMAGE)})
    return square


def _upright(opened: Image, met: Readings) -> Image:
    """Return the image of an opened file, rotated by its EXIF orientation."""
    from PIL import Image

    met.images["frames"] += bool(getattr(opened, "is_animated", False))
    stored = _orientation(opened, met)
    opened.load()
    if not 2 <= stored <= 8:
        return opened
    met.images["turned"] += 1
    # Pillow rotates some formats while loading them, and then removes the orientation.
    left = _orientation(opened, met)
    return opened.transpose(Image.Transpose[_UPRIGHT[left - 2]]) if 2 <= left <= 8 else opened


def _orientation(opened: Image, met: Readings) -> int:
    try:
        stored = opened.getexif().get(_ORIENTATION, 1)
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, struct.error):
        met.images["exif"] += 1
        return 1
    return stored if isinstance(stored, int) else 1


def _bytes(image: Image, kind: str, rules: Rules, met: Readings, *, negative: bool) -> Image:
    """Return an image of mode L or RGB."""
    from PIL import Image

    info = image.info
    if is_number(image.mode):
        image = _scaled(image, kind, rules, met, negative=negative)
    elif image.mode in {"LA", "La", "PA", "RGBA", "RGBa"} or "transparency" in info:
        whole = image.convert({"La": "LA", "RGBa": "RGBA"}.get(image.mode, image.mode)).convert("RGBA")
        if whole.getchannel("A").getextrema()[0] != 255:
            met.images["clear"] += 1
            grey = (rules.background,) * 3
            whole = Image.alpha_composite(Image.new("RGBA", whole.size, (*grey, 255)), whole)
        image = whole.convert("RGB")
    met.images["cmyk"] += image.mode == "CMYK"
    return image.convert("L" if rules.channels == 1 else "RGB")


def _scaled(image: Image, kind: str, rules: Rules, met: Readings, *, negative: bool) -> Image:
    """Return an image of 16-bit, 32-bit or floating-point grey as one of mode L; negative: 0 is white."""
    import numpy as np
    from PIL import Image

    values: npt.NDArray[Any] = np.asarray(image)
    # Older versions of Pillow open 16-bit PNG, and all open PGM of more than 8 bits, as 32-bit integers.
    deep = image.mode.startswith("I;16") or (image.mode == "I" and kind in {"PNG", "PPM"})
    name = "deep" if deep else "float" if image.mode == "F" else "wide"
    if not np.isfinite(values).all():
        raise Refused("it has values that are not finite", "remove the file, or store it as 8 bits")
    low, high = float(values.min()), float(values.max())
    if low >= 0:
        met.highest = max(met.highest, high)
    top = rules.white or {"deep": 65535.0, "float": 1.0}.get(name, 0.0)
    if not 0 <= low <= high <= top:
        what = {"deep": "16-bit", "float": "floating-point", "wide": "32-bit"}[name]
        expected = f"expected 0 to {exact(top)}" if top else "the value of white is not known"
        raise Refused(
            f"it has {what} values from {exact(low)} to {exact(high)}; {expected}",
            "store it as 8 bits",
            white=low >= 0,
        )
    met.images[name] += 1
    if deep:
        met.deepest = max(met.deepest, high)
    met.images["negative"] += negative
    scaled = np.floor((top - values.astype(np.float64) if negative else values) * (255 / top) + 0.5).astype(np.uint8)
    if isinstance(clear := image.info.get("transparency"), int) and (values == clear).any():
        met.images["clear"] += 1
        scaled[values == clear] = rules.background
    return Image.fromarray(scaled)


def _square(image: Image, size: int) -> Image:
    from PIL.Image import Resampling

    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side)).resize((size, size), Resampling.BICUBIC)


def _images(number: int) -> str:
    return "1 image" if number == 1 else f"{number:,} images"
