"""Make images square, and resize them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL.Image import Image

    Bytes = npt.NDArray[np.uint8]

FITTED = {
    "crop": "cropped to the central square",
    "pad": "padded to a square",
    "squash": "resized to a square, out of proportion",
}
"""How an oblong image becomes a square, by `Rules.fit`."""


def square(image: Image, size: int, fit: str, background: int, *, fast: bool) -> Image | Bytes:
    """Return an image of mode L or RGB as a square with sides of `size` pixels.

    fit: `crop`, `pad` or `squash`; background: grey level beside what is padded; fast: by torch instead of Pillow.
    """
    from PIL import Image

    if fit == "squash":
        return _resized(image, size, size, fast=fast)
    if fit == "pad":
        longer = max(image.size)
        width, height = (max(1, round(side * size / longer)) for side in image.size)
        whole = Image.new(image.mode, (size, size), (background,) * len(image.getbands()))
        part = _resized(image, width, height, fast=fast)
        shown = part if isinstance(part, Image.Image) else Image.fromarray(part)
        whole.paste(shown, ((size - width) // 2, (size - height) // 2))
        return whole
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return _resized(image.crop((left, top, left + side, top + side)), size, size, fast=fast)


def _resized(image: Image, width: int, height: int, *, fast: bool) -> Image | Bytes:
    from PIL.Image import Resampling

    if not fast:
        return image.resize((width, height), Resampling.BICUBIC)
    import numpy as np
    import torch

    pixels = torch.from_numpy(np.array(image))
    # In the order of the bytes of an image, for which torch has its fastest code.
    by_channel = (pixels[..., None] if pixels.dim() == 2 else pixels).permute(2, 0, 1)[None]
    resized = torch.nn.functional.interpolate(by_channel, size=(height, width), mode="bicubic", antialias=True)
    shown: Bytes = resized[0].permute(1, 2, 0).numpy()
    return shown[..., 0] if shown.shape[2] == 1 else shown
