"""The feed: from a training subset to batches of normalised images.

Images live as one uint8 tensor on the device. A batch is read by index, augmented, normalised and mixed as whole
tensors, with a random draw for each image. Three generators drive this, each seeded by hash from the training's seed
and its purpose: `order` (on the CPU), `augment` and `mix` (on the device). Switching a technique on changes no draw of
the others.

The state of a feed is the order of the current epoch, the position in it, and the generators. Restoring it in the
middle of an epoch gives bit-identical batches from there on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import msgspec
import torch
from torch import Generator, Tensor

from ltbench.engine import output_checks
from ltbench.engine.batch import Batch
from ltbench.engine.epoch_order import EpochOrder, generator
from ltbench.engine.subset import Subset
from ltbench.stages import Augment, Mix, Mixed, Moment

Read = Callable[[Tensor, Generator], Tensor]
"""Indices int64 [B] -> images float32 [B, channels, size, size] in [0, 1]."""
Blend = Callable[[Tensor, Tensor, Generator], Mixed]

_TRIAL_IMAGES = 4
"""Images in the batch on which the outputs of a technique are checked before training starts."""
_FEATURE_BATCH = 256
"""Images per batch when a frozen backbone computes features."""


class Feed:
    """Batches for one training: call `start_segment` for each segment, then `next` for each of its steps."""

    def __init__(self, subset: Subset, normalise: Callable[[Tensor], Tensor], seed: int, device: torch.device) -> None:
        self._images = subset.images.to(device)
        self._labels = subset.labels.to(device)
        self._counts = subset.counts.to(device)
        self._normalise = normalise
        self._generators = {
            "order": generator(seed, "order"),
            "augment": generator(seed, "augment", device),
            "mix": generator(seed, "mix", device),
        }
        self.order: EpochOrder | None = None
        self._augment: Augment | None = None
        self._read_images: Read = _reader(self._images, None)
        self._read, self._transform = self._read_images, normalise
        self._blend: Blend = _unblended
        self._epoch = torch.empty(0, dtype=torch.int64)
        self._cursor = 0

    def start_segment(self, order: EpochOrder, augment: Augment | None, mix: Mix | None) -> None:
        """Use these techniques from now on. An unchanged order continues its epoch; a new order starts an epoch."""
        if order is not self.order:
            self.order, self._epoch = order, self._epoch[:0]
        if augment != self._augment:
            self._augment, self._read_images = augment, _reader(self._images, augment)
        self._read, self._transform = self._read_images, self._normalise
        self._blend = _unblended if mix is None else _blender(mix, self._counts)
        self._check_outputs(augment, mix)

    def use_features(self, rows: Tensor) -> None:
        """Return these features, float [N, D] with a row per training image, instead of images in this segment."""
        self._read, self._transform = lambda indices, _stream: rows[indices], lambda rows: rows

    def unaugmented_images(self) -> Iterator[Tensor]:
        """Yield all training images in stored order, in batches: normalised, channels_last, without augmentation."""
        for images in torch.split(self._images, _FEATURE_BATCH):
            yield _channels_last(self._normalise(images.float().mul_(1 / 255)))

    def next(self, moment: Moment) -> Batch:
        """Return the next batch: images float32 [B, channels, size, size], normalised, channels_last.

        Without a mix, `lam` is None and `labels_a` and `labels_b` are the same.
        """
        indices = self._next_indices().to(self._labels.device)
        images = self._transform(self._read(indices, self._generators["augment"]))
        mixed = self._blend(images, self._labels[indices], self._generators["mix"])
        return Batch(images=mixed.images, labels_a=mixed.labels_a, labels_b=mixed.labels_b, lam=mixed.lam)

    def _next_indices(self) -> Tensor:
        assert self.order is not None, "start_segment has to come before next"
        if self.at_end:
            # Drawn only when needed, because the next segment may have another order.
            self._epoch, self._cursor = self.order.draw_epoch(self._generators["order"]), 0
        start = self._cursor * self.order.batch_size
        self._cursor += 1
        return self._epoch[start : start + self.order.batch_size]

    @property
    def images(self) -> Tensor:
        """All training images, uint8 [N, channels, size, size]."""
        return self._images

    @property
    def labels(self) -> Tensor:
        """Their labels, int64 [N]."""
        return self._labels

    def normalised(self, images: Tensor) -> Tensor:
        """Return images in [0, 1] as the network takes them."""
        return _channels_last(self._normalise(images))

    @property
    def image_count(self) -> int:
        """Number of training images."""
        return len(self._labels)

    @property
    def at_end(self) -> bool:
        """Whether the current epoch has no more batches."""
        return not len(self._epoch) or (self.order is not None and self._cursor == self.order.batches_per_epoch)

    def state(self) -> dict[str, Tensor]:
        """Return what `restore` needs, as tensors by name."""
        streams = {f"stream.{name}": stream.get_state() for name, stream in self._generators.items()}
        return {"epoch": self._epoch, "cursor": torch.tensor(self._cursor), **streams}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue from a state that was taken with the order now in use."""
        self._epoch, self._cursor = state["epoch"], int(state["cursor"])
        for name, stream in self._generators.items():
            stream.set_state(state[f"stream.{name}"])

    def _check_outputs(self, augment: Augment | None, mix: Mix | None) -> None:
        """Check what augmentation and mix return for a few images; the training's generators do not advance."""
        device = self._images.device
        indices = torch.arange(min(_TRIAL_IMAGES, len(self._labels)), device=device)
        # A technique that wrongly draws from torch's global generator must not advance the dropout stream here.
        with torch.random.fork_rng(devices=[]):
            if augment is None:
                images = self._read(indices, generator(0, "trial", device))
            else:
                with output_checks.leaving_no_state(augment):
                    images = self._read(indices, generator(0, "trial", device))
                output_checks.check_tensor(
                    augment, "images", images, torch.float32, [len(indices), *self._images.shape[1:]]
                )
            if mix is not None:
                images = self._normalise(images)
                with output_checks.leaving_no_state(mix):
                    mixed = mix.mix(images, self._labels[indices], self._counts, generator(0, "trial", device))
                output_checks.check_mixed(mix, mixed, images, len(self._counts))


def _reader(images: Tensor, augment: Augment | None) -> Read:
    if augment is None:
        return lambda indices, _stream: images[indices].float().mul_(1 / 255)
    with output_checks.leaving_no_state(augment):
        prepared = augment.prepare(images)
    return lambda indices, stream: augment.batch(prepared, indices, stream)


def _unblended(images: Tensor, labels: Tensor, _stream: Generator) -> Mixed:
    return Mixed(images=_channels_last(images), labels_a=labels, labels_b=labels, lam=None)


def _blender(mix: Mix, counts: Tensor) -> Blend:
    def blend(images: Tensor, labels: Tensor, stream: Generator) -> Mixed:
        mixed = mix.mix(images, labels, counts, stream)
        return msgspec.structs.replace(mixed, images=_channels_last(mixed.images))

    return blend


def _channels_last(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last) if images.dim() == 4 else images
