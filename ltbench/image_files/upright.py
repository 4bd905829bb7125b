"""Images as they are opened: their bytes, and how they are turned upright."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

_ORIENTATION = 0x0112
_UPRIGHT = (
    "FLIP_LEFT_RIGHT", "ROTATE_180", "FLIP_TOP_BOTTOM", "TRANSPOSE", "ROTATE_270", "TRANSVERSE", "ROTATE_90"
)  # fmt: skip
"""Transpositions that make images of EXIF orientation 2, 3, ... 8 upright."""


def upright(opened: Image) -> tuple[Image, list[str]]:
    """Return the image of an opened file, rotated by its EXIF orientation, and the rules that were applied."""
    from PIL import Image

    traits = ["frames"] * bool(getattr(opened, "is_animated", False))
    stored = _orientation(opened, traits)
    opened.load()
    if not 2 <= stored <= 8:
        return opened, traits
    traits.append("turned")
    # Pillow rotates some formats while loading them, and then removes the orientation.
    left = _orientation(opened, traits)
    shown = opened.transpose(Image.Transpose[_UPRIGHT[left - 2]]) if 2 <= left <= 8 else opened
    return shown, traits


def content_of(opened: Image) -> bytes:
    """Return the bytes of the file of an image that is opened and not decoded yet."""
    file: IO[bytes] = opened.fp  # type: ignore[attr-defined]
    file.seek(0)
    return file.read()


def _orientation(opened: Image, traits: list[str]) -> int:
    try:
        stored = opened.getexif().get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - Pillow raises almost anything for a corrupt file; the pixels may be sound
        traits += ["exif"] * ("exif" not in traits)
        return 1
    return stored if isinstance(stored, int) else 1
