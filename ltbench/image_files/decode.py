"""Read an image file as an array of bytes, by the same rules for every file.

Every image becomes 8-bit grey or RGB, upright and opaque, a square by one of three ways (`fit`) and resized:

- It is rotated by its EXIF orientation; of several frames or pages the first is read.
- Transparent parts are composited on grey of level `background`.
- 16-bit grey is scaled so that `white` (65,535) becomes 255, floating-point grey so that 1 does. 32-bit integers
  without `white`, floats outside [0, 1] and values above a given `white` are errors. A TIFF states whether 0 is black
  or white.
- Colour profiles are ignored; CMYK is converted by taking the complement.
- With `fast`, it is resized by torch instead of Pillow, to pixels that differ by at most 2 of 255 (0.005 on average), and told from
  others by the bytes of its file. That doubles the photos per second. Decoding is not worth another library: simplejpeg,
  torchcodec and torchvision return the same pixels a sixth faster.

A file that cannot be read by these rules is refused, with the reason. This module does not need torch.
"""

from __future__ import annotations

import hashlib
import stat
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from ltbench.image_files.grey import Refused, exact, is_number, white_is_zero
from ltbench.image_files.names import plain
from ltbench.image_files.squares import square
from ltbench.image_files.upright import content_of, upright

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL.Image import Image

    Bytes = npt.NDArray[np.uint8]

RULES = 3
"""Version of the rules above and of what a `Reading` contains; raised when one changes."""
WHITE = 255
_NOT_DECODED = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
"""Formats that Pillow recognises but cannot decode by itself."""
_OF_THE_IMAGE = (UserWarning, RuntimeWarning)
_COLOURS = {"1": "grey", "L": "grey", "LA": "grey with alpha", "La": "grey with alpha", "P": "palette", "PA": "palette with alpha",
            "RGB": "RGB", "RGBA": "RGB with alpha", "RGBa": "RGB with alpha", "RGBX": "RGB", "I": "32-bit grey", "F": "floating-point grey"}  # fmt: skip
_LARGE = 1 << 25
"""Pixels; of larger images only one is decoded at a time, so that memory does not grow with the number of threads."""
_large = threading.Lock()
_heard = threading.local()
"""`warned`: the warnings about the image that this thread reads."""


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """How the pixels of a data set are read."""

    channels: int
    """1: grey, 3: RGB"""
    size: int
    stored: int = 0
    """Side to which images are resized, before a central square of `size` is cut out of them; 0: `size`"""
    fit: Literal["crop", "pad", "squash"] = "crop"
    """How they become squares: the central one, all on a ground of grey `background`, or without their proportions"""
    fast: bool = False
    background: int = WHITE
    white: float = 0.0
    """0: the default of each number type"""


class Reading(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What was found in a file: an image, or the reason why it cannot be read."""

    width: int = 0
    """In pixels, upright; 0 if the header cannot be read"""
    height: int = 0
    colour: str = ""
    """Colour of the file, such as grey, RGB with alpha, CMYK"""
    digest: str = ""
    """Of the upright pixels before cropping and resizing, equal for files that show the same, whatever their format; with
    `Rules.fast` of the bytes of the file"""
    traits: list[str] = []
    """Rules that were applied, keys of `_remarks.SENTENCES`"""
    warned: list[str] = []
    """Warnings of Pillow"""
    highest: float = 0.0
    """The highest value of grey of more than eight bits"""
    problem: str = ""
    """Why it cannot be read; empty for an image"""
    fix: str = ""
    is_rule: bool = False
    """Whether the file is sound, but needs other parameters"""
    needs_white: bool = False
    """Whether it can be read with another `white`"""


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


@contextmanager
def warnings_by_thread() -> Iterator[None]:
    """Collect the warnings about images by thread, as `warnings.catch_warnings` alone is not for threads."""

    def hear(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
        # Other categories, such as an unclosed file of another thread, are not about the image.
        if issubclass(category, _OF_THE_IMAGE) and hasattr(_heard, "warned"):
            _heard.warned.append(plain(str(message)))

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = hear
        yield


def read_image(source: Path | Callable[[], bytes] | Image, rules: Rules) -> tuple[Bytes | None, Reading]:
    """Return an image as uint8 [channels, size, size], and what was found; None for a file that cannot be read.

    source: a file, a function that returns the content of one, or an image in memory. Call it within `warnings_by_thread`.
    """
    import numpy as np

    found = Reading()
    _heard.warned = found.warned
    try:
        side = rules.stored or rules.size
        pixels = np.asarray(_read(source, rules, found)).reshape(side, side, rules.channels)
    except Refused as why:
        found.problem, found.fix = str(why), why.fix
        found.is_rule, found.needs_white = why.is_rule, why.white
        return None, found
    finally:
        del _heard.warned
    if side != rules.size:
        start = (side - rules.size) // 2
        pixels = pixels[start : start + rules.size, start : start + rules.size]
    if (pixels[0] == pixels[0, 0]).all() and (pixels == pixels[0, 0]).all():
        found.traits.append("flat")
    return pixels.transpose(2, 0, 1), found


def _open(source: Path | Callable[[], bytes] | Image) -> AbstractContextManager[Image]:
    from PIL import Image

    if isinstance(source, Image.Image):
        return nullcontext(source)
    if isinstance(source, Path):
        if not stat.S_ISREG(source.stat().st_mode):  # opening a pipe would wait for a writer
            raise Refused("it is not a regular file")
        return Image.open(source, formats=formats())
    if not (content := source()):
        raise Refused("it is empty")
    return Image.open(BytesIO(content), formats=formats())


def _read(source: Path | Callable[[], bytes] | Image, rules: Rules, found: Reading) -> Image | Bytes:
    """Return the image of a file, mode L or RGB, as a square."""
    from PIL import Image

    try:
        with (
            _open(source) as opened,
            _large if opened.width * opened.height > _LARGE else nullcontext(),
        ):
            # Pillow keeps only the upper byte of 16-bit colour, but all bits of 16-bit grey.
            deep_colour = ";16" in str(getattr(opened, "tile", "")) and not is_number(opened.mode)
            found.width, found.height = opened.size
            if not opened.width * opened.height:
                raise Refused("it has no pixels", "remove it")
            found.colour = "16-bit colour" if deep_colour else _colour(opened)
            if deep_colour and rules.white:
                raise Refused(
                    "it has 16 bits per colour channel, but `white` is for grey", "leave white out", is_rule=True
                )
            found.traits += ["colour"] * deep_colour
            if rules.fast and not isinstance(source, Image.Image):
                found.digest = hashlib.blake2b(content_of(opened), digest_size=16).hexdigest()
            image, traits = upright(opened)
            found.traits += traits
            found.width, found.height = image.size
            found.traits += ["oblong"] * (image.width != image.height)
            negative = is_number(opened.mode) and white_is_zero(opened)
            return square(
                _bytes(image, opened.format or "", rules, found, negative=negative),
                rules.stored or rules.size,
                rules.fit,
                rules.background,
                fast=rules.fast,
            )
    except (Refused, MemoryError):
        raise
    except Exception as error:
        # Pillow and the libraries below it raise almost anything for a corrupt file.
        raise Refused(_why(source, error)) from error


def _why(source: object, error: Exception) -> str:
    """Return why a file cannot be read, in words that do not depend on where it is."""
    if isinstance(error, FileNotFoundError):
        return "it is a broken link" if isinstance(source, Path) and source.is_symlink() else "there is no such file"
    if isinstance(error, OSError) and error.strerror:
        return plain(error.strerror)
    if isinstance(source, Path) and source.is_file() and not source.stat().st_size:
        return "it is empty"
    if type(error).__name__ == "UnidentifiedImageError":
        return "it is no image, or of an unknown format"
    return f"{type(error).__name__}: {plain(str(error).replace(f' {str(source)!r}', ''))}"


def _colour(opened: Image) -> str:
    """Return the colour of a file before it is converted."""
    if opened.mode.startswith("I;16") or (opened.mode == "I" and opened.format in {"PNG", "PPM"}):
        return "16-bit grey"
    kind = _COLOURS.get(opened.mode, opened.mode)
    return f"{kind} with alpha" if "transparency" in opened.info and "alpha" not in kind else kind


def _bytes(image: Image, kind: str, rules: Rules, found: Reading, *, negative: bool) -> Image:
    """Return an image of mode L or RGB; note the digest of its pixels."""
    from PIL import Image

    info = image.info
    if is_number(image.mode):
        found.digest = found.digest or _digest(image, negative=negative)
        return _scaled(image, kind, rules, found, negative=negative).convert("L" if rules.channels == 1 else "RGB")
    if image.mode in {"LA", "La", "PA", "RGBA", "RGBa"} or "transparency" in info:
        whole = image.convert({"La": "LA", "RGBa": "RGBA"}.get(image.mode, image.mode)).convert("RGBA")
        if whole.getchannel("A").getextrema()[0] != 255:
            found.traits.append("clear")
            found.digest = found.digest or _digest(whole)
            grey = (rules.background,) * 3
            whole = Image.alpha_composite(Image.new("RGBA", whole.size, (*grey, 255)), whole)
        image = whole.convert("RGB")
    found.traits += ["cmyk"] * (image.mode == "CMYK")
    shown = image.convert("RGB")
    found.digest = found.digest or _digest(shown)
    return image.convert("L") if rules.channels == 1 else shown


def _digest(image: Image, *, negative: bool = False) -> str:
    """Return a digest of size and pixels, and of whether 0 is white."""
    digest = hashlib.blake2b(f"{image.mode}/{image.size}/{negative}".encode(), digest_size=16)
    digest.update(image.tobytes())
    return digest.hexdigest()


def _scaled(image: Image, kind: str, rules: Rules, found: Reading, *, negative: bool) -> Image:
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
        found.highest = high
    top = rules.white or {"deep": 65535.0, "float": 1.0}.get(name, 0.0)
    if not 0 <= low <= high <= top:
        what = {"deep": "16-bit", "float": "floating-point", "wide": "32-bit"}[name]
        expected = f"expected 0 to {exact(top)}" if top else "the value of white is not known"
        raise Refused(
            f"it has {what} values from {exact(low)} to {exact(high)}; {expected}",
            "store it as 8 bits",
            white=low >= 0,
        )
    found.traits.append(name)
    found.traits += ["negative"] * negative
    scaled = np.floor((top - values.astype(np.float64) if negative else values) * (255 / top) + 0.5).astype(np.uint8)
    if isinstance(clear := image.info.get("transparency"), int) and (values == clear).any():
        found.traits.append("clear")
        scaled[values == clear] = rules.background
    return Image.fromarray(scaled)
