from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import torch
from engine.world import CLASSES, SIZE, Half, Patterns, context_of, fit_job

from ltbench import Augment, Mix, Mixed, Moment, Sampler
from ltbench.engine.batches import Feed
from ltbench.engine.epoch_order import EpochOrder
from ltbench.engine.initial_images import InitialImages
from ltbench.engine.network import normaliser
from ltbench.engine.segment import Reading
from ltbench.engine.subset import Subset, load
from ltbench.errors import JobFailed
from ltbench_plugins.augments.crop_flip import CropFlip
from ltbench_plugins.mixes.mixup import Mixup
from ltbench_plugins.samplers.cb_sampler import CbSampler
from ltbench_plugins.samplers.shuffle import Shuffle

CPU = torch.device("cpu")
START = Moment(epoch=0, epochs=4.0, step=0, steps=28)


@pytest.fixture
def subset(tmp_path: Path) -> Subset:
    context = context_of(tmp_path)
    return load(fit_job().spec["data"], context.registry, tmp_path)


def plain(images: torch.Tensor) -> torch.Tensor:
    return images


def order_of(subset: Subset, sampler: Sampler | None = None, batch_size: int = 8, seed: int = 0) -> EpochOrder:
    return EpochOrder(sampler or Shuffle(), subset.labels, subset.counts, batch_size, seed)


def feed_of(
    subset: Subset,
    sampler: Sampler | None = None,
    augment: Augment | None = None,
    mix: Mix | None = None,
    *,
    normalise: Callable[[torch.Tensor], torch.Tensor] = plain,
    seed: int = 0,
    batch_size: int = 8,
) -> Feed:
    feed = Feed(subset, normalise, seed, CPU)
    feed.start_segment(order_of(subset, sampler, batch_size, seed), Reading(augment), mix)
    return feed


def numbers(subset: Subset, images: torch.Tensor) -> list[int]:
    """Return the indices of images in the subset."""
    same = (images[:, None] - subset.images[None] / 255).abs().amax((2, 3, 4)) < 1e-5
    return same.int().argmax(1).tolist()


def test_an_epoch_visits_every_image_once_but_drops_a_last_batch_of_one(subset: Subset) -> None:
    assert len(subset.labels) == 57  # 30 + 17 + 10: seven batches of eight, and one image
    feed = feed_of(subset)
    batches = [feed.next(START) for _ in range(7)]
    assert [len(batch.images) for batch in batches] == [8] * 7
    seen = [n for batch in batches for n in numbers(subset, batch.images)]
    assert len(set(seen)) == 56
    assert feed.at_end


@pytest.mark.parametrize(
    ("batch_size", "sizes"), [(8, [8] * 7), (10, [10] * 5 + [7]), (57, [57]), (100, [57]), (56, [56])]
)
def test_sizes_of_batches(subset: Subset, batch_size: int, sizes: list[int]) -> None:
    feed = feed_of(subset, batch_size=batch_size)
    assert order_of(subset, batch_size=batch_size).batches_per_epoch == len(sizes)
    assert [len(feed.next(START).images) for _ in sizes] == sizes
    assert feed.at_end


def test_labels_go_with_their_images(subset: Subset) -> None:
    batch = feed_of(subset, CbSampler()).next(START)
    assert batch.labels_a.tolist() == subset.labels[numbers(subset, batch.images)].tolist()
    assert batch.lam is None


def test_two_epochs_have_different_orders(subset: Subset) -> None:
    feed = feed_of(subset)
    first, second = ([n for _ in range(7) for n in numbers(subset, feed.next(START).images)] for _ in range(2))
    assert first != second


def test_images_are_normalised_by_hand(subset: Subset) -> None:
    normalise = normaliser(context_model(), Patterns().info(Path()), CPU)  # mean 0.4, deviation 0.2
    pixels = torch.tensor([0.4, 0.6, 0.0]).view(3, 1, 1, 1)
    assert normalise(pixels).flatten().tolist() == pytest.approx([0.0, 1.0, -2.0], abs=1e-6)
    stored, batch = feed_of(subset).next(START), feed_of(subset, normalise=normalise).next(START)
    torch.testing.assert_close(batch.images, (stored.images - 0.4) / 0.2)


def context_model():
    from engine.world import Net

    return Net()


def test_a_batch_is_float32_and_channels_last(subset: Subset) -> None:
    for mix in (None, Mixup()):
        batch = feed_of(subset, augment=CropFlip(padding=1), mix=mix).next(START)
        assert batch.images.dtype == torch.float32
        assert batch.images.shape == (8, 1, SIZE, SIZE)
        assert batch.images.is_contiguous(memory_format=torch.channels_last)


class Fade(Augment, frozen=True):
    """An augmentation without a fast path."""

    name = "fade"

    def apply(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return images * torch.rand(len(images), 1, 1, 1, generator=generator)


def test_an_augmentation_needs_no_fast_path(subset: Subset) -> None:
    faded, stored = feed_of(subset, augment=Fade()).next(START), feed_of(subset).next(START)
    share = (faded.images / stored.images.clamp(min=1e-6)).flatten(1)
    torch.testing.assert_close(share.amin(1), share.amax(1))
    assert len(share[:, 0].unique()) == 8


# --- streams ----------------------------------------------------------------------------------------------------------


def test_a_technique_that_is_switched_on_leaves_order_and_other_draws_as_they_were(subset: Subset) -> None:
    def images(augment: Augment | None = None, mix: Mix | None = None) -> list[torch.Tensor]:
        feed = feed_of(subset, augment=augment, mix=mix)
        return [feed.next(START).images for _ in range(10)]

    def labels(**techniques: object) -> list[list[int]]:
        feed = feed_of(subset, **techniques)
        return [feed.next(START).labels_a.tolist() for _ in range(10)]

    assert labels() == labels(augment=CropFlip()) == labels(mix=Mixup()) == labels(augment=Fade(), mix=Mixup())
    alone = images(CropFlip(padding=2))
    blended = images(CropFlip(padding=2), Mixup(lam=1.0))
    assert all(torch.equal(one, other) for one, other in zip(alone, blended, strict=True))


def test_another_seed_is_another_order(subset: Subset) -> None:
    assert feed_of(subset).next(START).labels_a.tolist() != feed_of(subset, seed=1).next(START).labels_a.tolist()


def test_the_global_random_state_is_left_alone(subset: Subset) -> None:
    from plugins.checks import global_randomness_untouched

    with global_randomness_untouched():
        feed = feed_of(subset, CbSampler(), CropFlip(), Mixup())
        for _ in range(9):
            feed.next(START)


# --- restoring a state ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [0, 3, 7, 10])
def test_a_restored_feed_gives_bit_identical_batches(subset: Subset, before: int) -> None:
    techniques = (CbSampler(), CropFlip(), Mixup())
    feed = feed_of(subset, *techniques)
    for _ in range(before):
        feed.next(START)
    state = {name: tensor.clone() for name, tensor in feed.state().items()}
    expected = [feed.next(START) for _ in range(9)]
    other = feed_of(subset, *techniques)
    other.restore(state)
    for batch in expected:
        again = other.next(START)
        assert torch.equal(again.images, batch.images)
        assert torch.equal(again.labels_a, batch.labels_a)
        assert torch.equal(again.labels_b, batch.labels_b)
        assert torch.equal(again.lam, batch.lam)


def test_the_same_order_continues_its_epoch_in_the_next_segment(subset: Subset) -> None:
    feed, order = Feed(subset, plain, 0, CPU), order_of(subset)
    feed.start_segment(order, Reading(None), None)
    seen = [n for _ in range(3) for n in numbers(subset, feed.next(START).images)]
    feed.start_segment(order, Reading(None), Mixup(lam=1.0))
    seen += [n for _ in range(4) for n in numbers(subset, feed.next(START).images)]
    assert len(set(seen)) == 56


def test_another_order_starts_a_new_epoch(subset: Subset) -> None:
    feed = feed_of(subset)
    feed.next(START)
    feed.start_segment(order_of(subset, CbSampler()), Reading(None), None)
    assert [len(feed.next(START).images) for _ in range(7)] == [8] * 7
    assert feed.at_end


# --- wrong outputs of techniques --------------------------------------------------------------------------------------


def returning(value: object) -> type[Sampler]:
    class Odd(Sampler, frozen=True):
        name = "odd"

        def epoch(self, *args: object) -> torch.Tensor:
            return value

    return Odd


@pytest.mark.parametrize(
    ("epoch", "message"),
    [
        (torch.tensor([0, 57]), "from 0 to 57; expected indices from 0 to 56"),
        (torch.tensor([-1, 3]), "from -1 to 3"),
        (torch.tensor([0.0, 1.0]), "float32"),
        (torch.tensor([[0, 1]]), r"int64 \[1, 2\]"),
        (torch.tensor([], dtype=torch.int64), r"int64 \[0\]"),
        ([0, 1], "list"),
        (torch.tensor([3]), "a batch needs two"),
    ],
)
def test_invalid_indices_raise_and_name_the_sampler(subset: Subset, epoch: object, message: str) -> None:
    with pytest.raises(JobFailed, match=message) as failed:
        order_of(subset, returning(epoch)())
    assert "sampler 'odd'" in str(failed.value)


def test_indices_outside_the_pool_raise(subset: Subset) -> None:
    class Straying(Shuffle, frozen=True):
        name = "straying"

        def epoch(self, pool, labels, counts, batch_size, generator):
            return pool + 1

        def pool(self, labels, counts, generator):
            return torch.arange(10)

    with pytest.raises(JobFailed, match="not in its pool"):
        order_of(subset, Straying())


def test_epochs_of_different_lengths_raise(subset: Subset) -> None:
    class Fickle(Shuffle, frozen=True):
        name = "fickle"

        def epoch(self, pool, labels, counts, batch_size, generator):
            return pool[: int(torch.randint(10, 50, (), generator=generator))]

    order, stream = order_of(subset, Fickle()), torch.Generator().manual_seed(1)
    with pytest.raises(JobFailed, match="as before"):
        order.draw_epoch(stream, START)


@pytest.mark.parametrize("size", [1, 0, 2.5, None])
def test_an_invalid_batch_size_raises(subset: Subset, size: object) -> None:
    class Sized(Shuffle, frozen=True):
        name = "sized"

        def batch_size(self, batch_size: int, classes: int) -> int:
            return size

    with pytest.raises(JobFailed, match="sampler 'sized' returned batch size"):
        order_of(subset, Sized())


def test_a_sampler_may_change_batch_size_and_length_of_the_epoch(subset: Subset) -> None:
    class Larger(Half, frozen=True):
        name = "larger"

        def batch_size(self, batch_size: int, classes: int) -> int:
            return batch_size + classes

    order = order_of(subset, Larger())
    assert (order.batch_size, order.images_per_epoch, order.batches_per_epoch) == (8 + CLASSES, 28, 3)


def augment_returning(change: Callable[[torch.Tensor], torch.Tensor]) -> Augment:
    class Odd(Augment, frozen=True):
        name = "odd"

        def apply(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
            return change(images)

    return Odd()


@pytest.mark.parametrize("change", [lambda x: x[:, :, 1:], lambda x: x.double(), lambda x: x[:2], lambda _: None])
def test_images_of_another_shape_or_dtype_raise_and_name_the_augmentation(subset: Subset, change: object) -> None:
    with pytest.raises(JobFailed, match=r"augment 'odd' returned images .*; expected float32 \[4, 1, 8, 8\]"):
        feed_of(subset, augment=augment_returning(change))


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("images", torch.zeros(4, 1, 8, 7), "images float32"),
        ("labels_a", torch.zeros(4), "labels_a float32"),
        ("labels_b", torch.full((4,), CLASSES), "labels_b from 3 to 3; expected indices from 0 to 2"),
        ("lam", torch.full((4,), 1.5), r"lam from 1.5 to 1.5; expected shares in \[0, 1\]"),
        ("lam", torch.full((4,), float("nan")), "lam from nan"),
        ("lam", torch.tensor(0.5), r"lam float32 \[\]"),
        ("lam", 0.5, "lam float"),
    ],
)
def test_invalid_parts_of_a_blend_raise_and_name_the_mix(
    subset: Subset, part: str, value: object, message: str
) -> None:
    class Odd(Mix, frozen=True):
        name = "odd"

        def mix(self, images, labels, counts, generator):
            parts = {"images": images, "labels_a": labels, "labels_b": labels, "lam": torch.ones(len(images))}
            return Mixed(**(parts | {part: value}))

    with pytest.raises(JobFailed, match=message) as failed:
        feed_of(subset, mix=Odd())
    assert "mix 'odd'" in str(failed.value)


def test_a_mix_that_returns_no_blend_raises(subset: Subset) -> None:
    class Odd(Mix, frozen=True):
        name = "odd"

        def mix(self, images, labels, counts, generator):
            return images, labels

    with pytest.raises(JobFailed, match="mix 'odd' returned tuple; expected a Mixed"):
        feed_of(subset, mix=Odd())


@pytest.mark.parametrize(("side", "expected"), [(8, [57]), (64, [57]), (500, [4] * 14 + [1]), (1100, [1] * 57)])
def test_large_images_for_initial_weights_come_in_smaller_batches(
    subset: Subset, side: int, expected: list[int]
) -> None:
    images = torch.zeros(1, 1, 1, 1, dtype=torch.uint8).expand(len(subset.labels), 1, side, side)
    large = msgspec.structs.replace(subset, images=images, info=msgspec.structs.replace(subset.info, size=side))
    batches = list(InitialImages(Feed(large, plain, 0, CPU), torch.Generator().manual_seed(0)))
    assert [len(batch) for batch, _ in batches] == expected
    assert sorted(torch.cat([labels for _, labels in batches]).tolist()) == sorted(subset.labels.tolist())


def test_features_for_initial_weights_come_in_whole_batches(subset: Subset) -> None:
    info = msgspec.structs.replace(subset.info, size=500)
    rows = msgspec.structs.replace(subset, images=torch.zeros(len(subset.labels), 3), info=info)
    assert len(list(InitialImages(Feed(rows, plain, 0, CPU), torch.Generator().manual_seed(0)))) == 1
