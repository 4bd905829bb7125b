"""The feed: from a training subset to batches of normalised images.

Images live as one uint8 tensor on the device. A batch is read by index, augmented, normalised and mixed as whole
tensors, with a random draw for each image. Three generators drive it, one per purpose, each seeded by hash from the
seed of the training: `order` (on the CPU), `augment` and `mix` (on the device). Switching one technique on leaves the
draws of the others as they were.

What a feed has to remember is the order of the running epoch, the place in it, and the generators. All of it can be
taken out and put back in the middle of an epoch, and the batches that follow are the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Generator, Tensor

from ltbench.engine import output_checks
from ltbench.engine.epoch_order import Order, generator
from ltbench.engine.subset import Subset
from ltbench.stages import Augment, Mix, Mixed

Read = Callable[[Tensor, Generator], Tensor]
"""Indices int64 [B] -> images float32 [B, channels, size, size] in [0, 1]."""
Blend = Callable[[Tensor, Tensor, Generator], Mixed]

_TRIAL = 4
"""Images in the trial batch that a technique is checked on before it is used."""
_LOOK = 256
"""Images of a batch of which nothing is learnt."""


class Feed:
    """Batches for one training. `switch` first, then `next` as often as there are steps."""

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
        self.order: Order | None = None
        self._augment: Augment | None = None
        self._from_images: Read = _reader(self._images, None)
        self._read, self._finish = self._from_images, normalise
        self._blend: Blend = _unblended
        self._epoch = torch.empty(0, dtype=torch.int64)
        self._cursor = 0

    def switch(self, order: Order, augment: Augment | None, mix: Mix | None) -> None:
        """Go on with these. An order that stays goes on in the middle of its epoch, another one begins its first."""
        if order is not self.order:
            self.order, self._epoch = order, self._epoch[:0]
        if augment != self._augment:
            self._augment, self._from_images = augment, _reader(self._images, augment)
        self._read, self._finish = self._from_images, self._normalise
        self._blend = _unblended if mix is None else _blender(mix, self._counts)
        self._try(augment, mix)

    def use_features(self, rows: Tensor) -> None:
        """Until the next switch, give these rows, float [N, D], one for each training image, in place of the images."""
        self._read, self._finish = lambda indices, _stream: rows[indices], lambda rows: rows

    def unaugmented_images(self) -> Iterator[Tensor]:
        """Yield all training images in their order, in batches, as a network is given them without augmentation."""
        for images in torch.split(self._images, _LOOK):
            yield _channels_last(self._normalise(images.float().mul_(1 / 255)))

    def next(self) -> Mixed:
        """Return the next batch: images float32 [B, channels, size, size], normalised, channels_last.

        Without a mix `lam` is None and both labels are the image's own.
        """
        indices = self._next_indices().to(self._labels.device)
        images = self._finish(self._read(indices, self._generators["augment"]))
        return self._blend(images, self._labels[indices], self._generators["mix"])

    def _next_indices(self) -> Tensor:
        assert self.order is not None, "a feed is switched on before it is asked"
        if self.at_end:
            self._epoch, self._cursor = self.order.epoch(self._generators["order"]), 0
        start = self._cursor * self.order.batch_size
        self._cursor += 1
        return self._epoch[start : start + self.order.batch_size]

    @property
    def size(self) -> int:
        """How many training images there are."""
        return len(self._labels)

    @property
    def at_end(self) -> bool:
        """Whether the running epoch has no batch left."""
        return not len(self._epoch) or (self.order is not None and self._cursor == self.order.batches)

    def state(self) -> dict[str, Tensor]:
        """Return what `restore` needs, as tensors by name."""
        streams = {f"stream.{name}": stream.get_state() for name, stream in self._generators.items()}
        return {"epoch": self._epoch, "cursor": torch.tensor(self._cursor), **streams}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a state that was taken under the order that is switched on now."""
        self._epoch, self._cursor = state["epoch"], int(state["cursor"])
        for name, stream in self._generators.items():
            stream.set_state(state[f"stream.{name}"])

    def _try(self, augment: Augment | None, mix: Mix | None) -> None:
        """Check augmentation and mix on a few images, from streams of their own: the training's do not move."""
        device = self._images.device
        some = torch.arange(min(_TRIAL, len(self._labels)), device=device)
        with torch.random.fork_rng(devices=[]):
            images = self._read(some, generator(0, "trial", device))
            if augment is not None:
                output_checks.check_tensor(
                    augment, "images", images, torch.float32, [len(some), *self._images.shape[1:]]
                )
            if mix is not None:
                images = self._normalise(images)
                mixed = mix.mix(images, self._labels[some], self._counts, generator(0, "trial", device))
                output_checks.check_mixed(mix, mixed, images, len(self._counts))


def _reader(images: Tensor, augment: Augment | None) -> Read:
    if augment is None:
        return lambda indices, _stream: images[indices].float().mul_(1 / 255)
    prepared = augment.prepare(images)
    return lambda indices, stream: augment.batch(prepared, indices, stream)


def _unblended(images: Tensor, labels: Tensor, _stream: Generator) -> Mixed:
    return Mixed(images=_channels_last(images), labels_a=labels, labels_b=labels, lam=None)


def _blender(mix: Mix, counts: Tensor) -> Blend:
    def blend(images: Tensor, labels: Tensor, stream: Generator) -> Mixed:
        mixed = mix.mix(images, labels, counts, stream)
        return Mixed(
            images=_channels_last(mixed.images), labels_a=mixed.labels_a, labels_b=mixed.labels_b, lam=mixed.lam
        )

    return blend


def _channels_last(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last) if images.dim() == 4 else images
