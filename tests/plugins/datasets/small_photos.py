"""A few photos in folders of classes, for tests of what lists them."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

SIZES = {"cat": 6, "dog": 3, "newt": 2}
"""Photos of each class."""


def write_photos(root: Path) -> Path:
    """Write them to `root / "photos"`, no two alike; return `root`."""
    level = 0
    for name, number in SIZES.items():
        for n in range(number):
            file = root / "photos" / name / f"{n}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (level := level + 9, 0, 0)).save(file)
    return root
