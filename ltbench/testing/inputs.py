"""Synthetic inputs for techniques: long-tailed class counts with labels, logits and images.

The inputs keep copies of their values, so that a check can find out whether a technique modified its arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from torch import Generator, Tensor

    from ltbench.stages import FloatArray, IntArray

MOST, LEAST = 60, 3
"""Numbers of images in the largest and the smallest class."""
BATCH = 24
"""More than the default of 10 classes, so that a batch has repeated labels."""


class Inputs:
    """Arguments for techniques. Tensors are on `device`, which may be a simulated one."""

    def __init__(
        self,
        classes: int = 10,
        *,
        counts: Sequence[int] | None = None,
        device: Any = "cpu",
        size: float = 2.0,
        pixels: int = 8,
    ) -> None:
        """size: standard deviation of the logits; pixels: height of normalised images; others are twice as high."""
        self.counts = long_tail(classes) if counts is None else list(counts)
        self.classes, self.device, self.size, self.pixels = len(self.counts), device, size, pixels
        self._given: list[tuple[str, Any, Any]] = []

    # --- tracked arguments ---------------------------------------------------------------------------------------

    def array(self, name: str, values: Any) -> Any:
        """Return a tracked array."""
        import numpy as np

        given = np.array(values)
        self._given.append((name, given, given.copy()))
        return given

    def tensor(self, name: str, values: Any, *, on_cpu: bool = False) -> Tensor:
        """Return a tracked tensor on the device."""
        import torch

        given = torch.as_tensor(values)
        given = given.clone() if on_cpu else self.to_device(given)
        self._given.append((name, given, given.clone()))
        return given

    def to_device(self, tensor: Tensor) -> Tensor:
        """Return a copy of a tensor on the device."""
        if isinstance(self.device, str):
            return tensor.to(self.device, copy=True)
        from ltbench.engine.fake_device import to_fake_device

        return to_fake_device(tensor)

    def track(self, name: str, given: Any) -> Any:
        """Track a value that a technique returned and will get as an argument; return it."""
        self._given.append((name, given, given.clone() if hasattr(given, "clone") else given.copy()))
        return given

    def modified(self) -> list[str]:
        """Return the names of inputs modified in place."""
        import numpy as np

        from ltbench.testing.flat_values import plain

        def same(now: Any, before: Any) -> bool:
            current, original = (given if isinstance(given, list) else plain(given) for given in (now, before))
            return np.array_equal(np.asarray(current), np.asarray(original))

        return list(dict.fromkeys(name for name, now, before in self._given if not same(now, before)))

    # --- values -------------------------------------------------------------------------------------------------

    def rng(self, seed: int = 0) -> np.random.Generator:
        """Return a numpy generator."""
        import numpy as np

        return np.random.default_rng(seed)

    def generator(self, seed: int = 0, *, on_cpu: bool = False) -> Generator:
        """Return a torch generator on the device."""
        import torch

        if on_cpu or isinstance(self.device, str):
            return torch.Generator("cpu" if on_cpu else self.device).manual_seed(seed)
        from ltbench.engine.fake_device import make_generator

        return make_generator(seed)

    @cached_property
    def labels(self) -> IntArray:
        """Labels of the training images, int64 [N], in random order."""
        import numpy as np

        labels = np.repeat(np.arange(self.classes, dtype=np.int64), self.counts)
        return self.rng(7).permutation(labels)

    @cached_property
    def batch_labels(self) -> IntArray:
        """Labels of a batch, int64 [B], of head and tail classes."""
        import numpy as np

        # Steps of 7, which is prime to the usual numbers of classes, starting from the rarest class.
        return (np.arange(BATCH, dtype=np.int64) * 7 + self.classes - 1) % self.classes

    def logits(self, images: int = BATCH, seed: int = 1) -> FloatArray:
        """Logits float64 [images, C]."""
        return self.size * self.rng(seed).standard_normal((images, self.classes))

    def probabilities(self, images: int = BATCH, seed: int = 1) -> FloatArray:
        """Probabilities float64 [images, C]."""
        import numpy as np

        raised: FloatArray = np.exp(self.logits(images, seed))
        probabilities: FloatArray = raised / raised.sum(1, keepdims=True)
        return probabilities

    def images(self, number: int, channels: int, size: int) -> IntArray:
        """Images uint8 [number, channels, size, size]."""
        import numpy as np

        return self.rng(2).integers(256, size=(number, channels, size, size), dtype=np.uint8)

    def flat_images(self) -> IntArray:
        """Images uint8 [N, 3, 16, 16] of the training, each of the brightness of its class, with a darker corner."""
        import numpy as np

        shades = (self.labels * 256 / self.classes + 128 / self.classes).astype(np.uint8)
        images = np.broadcast_to(shades[:, None, None, None], (len(shades), 3, 16, 16)).copy()
        images[..., :2, :2] //= 2
        return images  # type: ignore[return-value]

    @property
    def class_counts(self) -> IntArray:
        """The class counts as int64 [C]."""
        import numpy as np

        return np.asarray(self.counts, np.int64)


def long_tail(classes: int) -> list[int]:
    """Return class counts that decrease from `MOST` to `LEAST`."""
    return [round(MOST * (LEAST / MOST) ** (label / max(classes - 1, 1))) for label in range(classes)]


def with_rare() -> list[int]:
    """Return the counts of ten classes, the last ones with one image and no image."""
    return [*long_tail(10)[:-2], 1, 0]
