"""The feed: from a training subset to batches of normalised images.

Images live as one uint8 tensor on the device, or are read from their file batch by batch, one batch ahead. A batch is read by index, augmented, normalised and mixed as whole
tensors, with a random draw for each image. Each purpose has a random stream: `order`, `augment`, `augment_after` (an
augmentation that follows the data set's own), `mix`, `partner` and `partner_augment` (the second stream of a mix).

The state of a feed is the order of the current epoch, the position in it, the same of the second stream, and the random
streams. Restoring it in the middle of an epoch gives bit-identical batches from there on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec
import torch
from torch import Generator, Tensor

from ltbench.engine import output_checks
from ltbench.engine.augmented_images import Read, Tell, reader
from ltbench.engine.batch import Batch
from ltbench.engine.epoch_order import EpochOrder
from ltbench.engine.hidden_mix import HiddenMix, Places
from ltbench.engine.partner_stream import PartnerStream
from ltbench.engine.segment import Reading
from ltbench.engine.stored_images import AnyImages, StoredImages, centre_of, in_batches
from ltbench.engine.streams import Streams, generator
from ltbench.engine.subset import Subset
from ltbench.engine.tensor_files import add_prefix, strip_prefix
from ltbench.errors import JobFailed
from ltbench.stages import Adaptive, Augment, Mix, Moment, Partner, Told

if TYPE_CHECKING:
    from ltbench.engine.memory import Memory

Share = Callable[[Moment], float]
"""The share of the first stream in the loss."""

_CPU = torch.device("cpu")
_TRIAL_IMAGES = 4
"""Images in the batch on which the outputs of a technique are checked before training starts."""
_TRIAL_MAP = (5, 3, 3)
"""Shape of an output of a block on which a hidden mix is checked: unlike that of images."""
_START = Moment(epoch=0, epochs=1.0, step=0, steps=1)
"""The moment of these checks."""
_FEATURE_BATCH = 256
"""Images per batch when a frozen backbone computes features."""


class Feed:
    """Batches for one training: call `start_segment` for each segment, then `next` for each of its steps."""

    def __init__(
        self,
        subset: Subset,
        normalise: Callable[[Tensor], Tensor],
        seed: int,
        device: torch.device,
        memory: Memory | None = None,
    ) -> None:
        """memory: of what techniques learn and remember; None for nothing."""
        self._has_features = subset.images.is_floating_point()
        self._whole, self._size = subset.images.to(device), subset.info.size
        self._images = self._whole if self._has_features else centre_of(self._whole, self._size)
        self._labels = subset.labels.to(device)
        # Indices are kept where images are read by them: copies to or from a GPU in each step would wait for it.
        self._indexed_on = _CPU if isinstance(self._whole, StoredImages) else device
        self._counts = subset.counts.to(device)
        self._normalise = normalise
        self._streams = Streams(seed, device)
        self._memory = memory
        self.order: EpochOrder | None = None
        self.gather: Callable[[Tensor], Tensor] | None = None
        """Returns the features of images by index, where several trainings share them; see `HeadStack`."""
        self._partner, self._second = PartnerStream(), PartnerStream()
        self._share: Share | None = None
        self._reading = Reading(None)
        self._read_images: Read = reader(self._whole, Reading(None), self._size)
        self._read, self._transform = self._read_images, normalise
        self._mix: Mix | None = None
        self._places: Places = ()
        self._views: list[Read | None] = []
        self._epoch = torch.empty(0, dtype=torch.int64)
        self._cursor = 0

    def start_segment(
        self,
        order: EpochOrder,
        reading: Reading,
        mix: Mix | None,
        *,
        partner: EpochOrder | None = None,
        places: Places = (),
        views: Sequence[Reading | None] = (),
        second: EpochOrder | None = None,
        share: Share | None = None,
    ) -> None:
        """Use these techniques from now on. An unchanged order continues its epoch; a new order starts an epoch.

        partner: order of the second stream of `mix`; places: where in the network a hidden mix may blend; views: of the
        auxiliary, None for the training's; second: order of the second stream of the branches; share: of the first one.
        Raises `JobFailed` for a mix or views beside a second stream of the branches, whose images have labels of their own.
        """
        if second is not None and (mix is not None or views):
            what = "an auxiliary" if mix is None else f"mix '{mix.label}'"
            raise JobFailed(
                f"{what} cannot be used with branches that have a second stream",
                why="each branch has images and labels of its own",
                fix='conflicts = {"mix": "...", "auxiliary": "..."} in the branches',
            )
        if order is not self.order:
            self.order, self._epoch = order, self._epoch[:0]
        self._partner.use(partner)
        self._second.use(second)
        self._share = share
        if reading != self._reading:
            self._reading, self._read_images = reading, reader(self._whole, reading, self._size)
        self._read, self._transform = self._read_images, self._normalise
        if isinstance(self._images, Tensor) and self._has_features:
            self.use_features(self._images)
        self._mix, self._places = mix, places
        self._views = [None if view is None else reader(self._whole, view, self._size) for view in views]
        if not self._has_features:
            self._check_outputs(reading.augment, mix)

    def use_features(self, rows: Tensor) -> None:
        """Return these features, float [N, D] with a row per training image, instead of images in this segment."""
        gather = self.gather or (lambda indices: rows[indices])
        self._read, self._transform = lambda indices, _tell, _stream: gather(indices), lambda rows: rows

    def unaugmented(self, indices: Tensor) -> Tensor:
        """Return training images as the network takes them, without augmentation, or their features. indices: int64 [B]."""
        images = self._images[indices]
        return images if self._has_features else self.normalised(images.float().mul_(1 / 255))

    def unaugmented_images(self) -> Iterator[Tensor]:
        """Yield all training images in stored order, in batches: normalised, channels_last, without augmentation."""
        for images in in_batches(self._images, _FEATURE_BATCH):
            yield _channels_last(self._normalise(images.float().mul_(1 / 255)))

    def next(self, moment: Moment) -> Batch:
        """Return the next batch: images float32 [B, channels, size, size], normalised, channels_last.

        moment: of the step. Without a mix, `lam` is None and `labels_a` and `labels_b` are the same; so they are for a
        hidden mix until it has blended the batch.
        """
        rows = self._next_rows(moment)
        indices = self._on_device(rows)
        labels = self._labels[indices]
        tell = self._tell(indices, labels, moment)
        images = self._transform(self._read(rows, tell, self._streams))
        if isinstance(self._whole, StoredImages) and not self.at_end:
            self._whole.expect(self._following())
        views = tuple(self._view(number, images, rows, tell) for number in range(len(self._views)))
        if self._mix is not None:
            return self._mixed(self._mix, images, tell(self._mix), views)
        if self._second.order is not None and self._share is not None:
            partner = self._next_partner(self._second, "second", len(labels), moment)
            share = torch.full((len(labels),), self._share(moment), device=images.device)
            return Batch(
                images=_channels_last(images), labels_a=labels, labels_b=partner.labels, lam=share,
                labels=labels, second=_channels_last(partner.images), views=views,
            )  # fmt: skip
        return Batch(
            images=_channels_last(images), labels_a=labels, labels_b=labels, lam=None, labels=labels, views=views
        )

    def _mixed(self, mix: Mix, images: Tensor, told: Told, views: tuple[Tensor | None, ...]) -> Batch:
        if self._places:
            hidden = HiddenMix(mix, told, self._places, self._streams.choices("mix"))
            labels = told.labels
            return Batch(
                images=_channels_last(images), labels_a=labels, labels_b=labels, lam=None, labels=labels, views=views,
                hidden=hidden,
            )  # fmt: skip
        if mix.partner:
            partner = self._next_partner(self._partner, "partner", len(told.labels), told.moment)
            told = msgspec.structs.replace(told, partner=partner)
        mixed = mix.blend(images, told, self._streams("mix"))
        return Batch(
            images=_channels_last(mixed.images), labels_a=mixed.labels_a, labels_b=mixed.labels_b, lam=mixed.lam,
            labels=told.labels, views=views,
        )  # fmt: skip

    def _view(self, number: int, images: Tensor, rows: Tensor, tell: Tell) -> Tensor | None:
        """Return the images of a view; None if those of the batch are the view, as they are not blended."""
        read = self._views[number]
        if read is None:
            # A clone: a mix may reuse the memory of the images that it blends.
            return None if self._mix is None else _channels_last(images.clone())
        return _channels_last(
            self._normalise(read(rows, tell, lambda purpose: self._streams(f"view{number}_{purpose}")))
        )

    def _next_rows(self, moment: Moment) -> Tensor:
        """Return the indices of the next batch, int64 [B], where images are read by them."""
        assert self.order is not None, "start_segment has to come before next"
        if self.at_end:
            # Drawn only when needed, because the next segment may have another order.
            self._epoch = self.order.draw_epoch(self._streams("order"), moment).to(self._indexed_on)
            self._cursor = 0
        rows = self._following()
        self._cursor += 1
        return rows

    def _on_device(self, rows: Tensor) -> Tensor:
        return rows.to(self._labels.device, non_blocking=True)

    def _following(self) -> Tensor:
        """Return the indices of the next batch of the epoch."""
        assert self.order is not None
        start = self._cursor * self.order.batch_size
        return self._epoch[start : start + self.order.batch_size]

    def _next_partner(self, stream: PartnerStream, purpose: str, size: int, moment: Moment) -> Partner:
        rows = stream.next(size, moment, self._streams(purpose), self._indexed_on)
        indices = self._on_device(rows)
        labels = self._labels[indices]
        read = self._read(rows, self._tell(indices, labels, moment), lambda name: self._streams(f"{purpose}_{name}"))
        return Partner(images=self._transform(read), labels=labels)

    def _tell(self, indices: Tensor, labels: Tensor, moment: Moment) -> Tell:
        def tell(technique: Adaptive) -> Told:
            memory = self._memory
            return Told(
                indices=indices, labels=labels, counts=self._counts, moment=moment,
                state={} if memory is None else memory.state_of(technique),
                own=None if memory is None else memory.own_of(technique),
            )  # fmt: skip

        return tell

    @property
    def images(self) -> AnyImages:
        """All training images, by index, uint8 [N, channels, size, size], or their features, float [N, D]."""
        return self._images

    @property
    def labels(self) -> Tensor:
        """Their labels, int64 [N]."""
        return self._labels

    def normalised(self, images: Tensor) -> Tensor:
        """Return images in [0, 1] as the network takes them; features as they are."""
        return images if self._has_features else _channels_last(self._normalise(images))

    @property
    def image_count(self) -> int:
        """Number of training images."""
        return len(self._labels)

    @property
    def size(self) -> int:
        """Height and width of the images; 1 for features."""
        return 1 if self._has_features else self._size

    @property
    def at_end(self) -> bool:
        """Whether the current epoch has no more batches."""
        return not len(self._epoch) or (self.order is not None and self._cursor == self.order.batches_per_epoch)

    def state(self) -> dict[str, Tensor]:
        """Return what `restore` needs, as tensors by name."""
        return {
            "epoch": self._epoch,
            "cursor": torch.tensor(self._cursor),
            **add_prefix("stream", self._streams.state()),
            **add_prefix("partner", self._partner.state()),
            **add_prefix("second", self._second.state()),
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue from a state that was taken with the order now in use."""
        self._epoch, self._cursor = state["epoch"].to(self._indexed_on), int(state["cursor"])
        self._streams.restore(strip_prefix("stream", state))
        self._partner.restore(strip_prefix("partner", state))
        self._second.restore(strip_prefix("second", state))

    def _check_outputs(self, augment: Augment | None, mix: Mix | None) -> None:
        """Check what augmentation and mix return for a few images; the training's streams do not advance."""
        device = self._images.device
        indices = torch.arange(min(_TRIAL_IMAGES, len(self._labels)), device=device)
        labels = self._labels[indices]
        tell = self._tell(indices, labels, _START)

        def stream(_purpose: str) -> Generator:
            return generator(0, "trial", device)

        # A technique that wrongly draws from torch's global generator must not advance the dropout stream here.
        with torch.random.fork_rng(devices=[]):
            if augment is None:
                images = self._read(indices, tell, stream)
            else:
                with output_checks.leaving_no_state(augment):
                    images = self._read(indices, tell, stream)
                output_checks.check_tensor(
                    augment, "images", images, torch.float32, [len(indices), *self._images.shape[1:]]
                )
            if mix is None:
                return
            told = tell(mix)
            if mix.partner:
                partner = Partner(images=self._normalise(images.flip(0)), labels=labels.flip(0))
                told = msgspec.structs.replace(told, partner=partner)
            images = self._normalise(images)
            maps = [torch.ones(len(indices), *_TRIAL_MAP, device=device)] if self._places else []
            for blended in (images, *maps):
                with output_checks.leaving_no_state(mix):
                    mixed = mix.blend(blended, told, stream("mix"))
                output_checks.check_mixed(mix, mixed, blended, len(self._counts))


def _channels_last(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last) if images.dim() == 4 else images
