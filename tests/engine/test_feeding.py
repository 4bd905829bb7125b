"""What follows an augmentation, the second stream of a mix, and mixes inside the network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest
import torch
from engine.accidents import Accident
from engine.world import CLASSES, Net, context_of, fit_job, plain, same, weights
from torch import nn

from ltbench import Augment, Mix, Mixed, Model, Moment, Sampler, Told
from ltbench.core.spec import Job
from ltbench.engine.batch import Batch
from ltbench.engine.batches import Feed
from ltbench.engine.epoch_order import EpochOrder
from ltbench.engine.fit import fit
from ltbench.engine.hidden_mix import places
from ltbench.engine.resume import Snapshots
from ltbench.engine.schedule import Span, moment
from ltbench.engine.segment import Reading
from ltbench.engine.subset import Subset, load
from ltbench.engine.training import Training
from ltbench.errors import JobFailed
from ltbench_plugins.augments.crop_flip import CropFlip
from ltbench_plugins.mixes.mixup import Mixup
from ltbench_plugins.models.convnet import ConvNet
from ltbench_plugins.samplers.cb_sampler import CbSampler
from ltbench_plugins.samplers.shuffle import Shuffle

CPU = torch.device("cpu")
START = Moment(epoch=0, epochs=4.0, step=0, steps=28)


@pytest.fixture
def subset(tmp_path: Path) -> Subset:
    """30 + 17 + 10 images."""
    return load(fit_job().spec["data"], context_of(tmp_path).registry, tmp_path)


def order_of(subset: Subset, sampler: Sampler, stream: str = "pool") -> EpochOrder:
    return EpochOrder(sampler, subset.labels, subset.counts, 8, 0, stream=stream)


def feed_of(
    subset: Subset,
    augment: Augment | None = None,
    mix: Mix | None = None,
    *,
    first: Augment | None = None,
    partner: Sampler | None = None,
    **more: object,
) -> Feed:
    feed = Feed(subset, lambda images: images, 0, CPU, **more)
    second = None if partner is None else order_of(subset, partner, "partner_pool")
    feed.start_segment(order_of(subset, Shuffle()), Reading(augment, first), mix, partner=second)
    return feed


# --- moments ----------------------------------------------------------------------------------------------------------


def test_a_moment_counts_from_the_start_of_the_training_and_does_not_depend_on_later_segments() -> None:
    second = Span(first=14, last=28, total=28)
    assert moment(second, 15, 7, restart=False) == Moment(epoch=2, epochs=4.0, step=15, steps=28)
    assert moment(second, 15, 7, restart=False).progress == 15 / 28


def test_a_segment_that_restarts_is_a_training_of_its_own() -> None:
    second = Span(first=14, last=28, total=28)
    assert moment(second, 14, 7, restart=True) == Moment(epoch=0, epochs=2.0, step=0, steps=14)
    assert moment(second, 27, 7, restart=True) == Moment(epoch=1, epochs=2.0, step=13, steps=14)


class Growing(Sampler, frozen=True):
    """Visits the images of one class only, the next one in each epoch."""

    name = "growing"

    def epoch_at(self, pool, labels, counts, batch_size, moment, generator):
        of_class = pool[labels[pool] == moment.epoch % CLASSES]
        return of_class[torch.randint(len(of_class), (56,), generator=generator)]


def test_a_sampler_is_told_the_epoch(subset: Subset) -> None:
    feed = Feed(subset, lambda images: images, 0, CPU)
    feed.start_segment(order_of(subset, Growing()), Reading(None), None)
    span = Span(first=0, last=28, total=28)
    seen = [feed.next(moment(span, step, 7, restart=False)).labels_a for step in range(21)]
    assert [labels.unique().tolist() for labels in seen] == [[0]] * 7 + [[1]] * 7 + [[2]] * 7


# --- augmentations that follow ----------------------------------------------------------------------------------------


class Darken(Augment, frozen=True):
    """Multiplies the images of class 0 by a random factor."""

    name = "darken"
    follows = True

    def apply_to(self, images, told: Told, generator):
        factor = torch.rand(len(images), 1, 1, 1, generator=generator)
        return images * factor.where((told.labels == 0)[:, None, None, None], torch.ones(()))


def test_what_follows_gets_the_images_of_the_first_and_leaves_its_draws_alone(subset: Subset) -> None:
    alone, both = feed_of(subset, CropFlip(padding=2)), feed_of(subset, Darken(), first=CropFlip(padding=2))
    for _ in range(9):
        before, after = alone.next(START), both.next(START)
        assert torch.equal(before.labels_a, after.labels_a)
        others = before.labels_a != 0
        assert torch.equal(before.images[others], after.images[others])
        factor = after.images[~others] / before.images[~others].clamp(min=1e-6)
        assert ((factor.flatten(1).amax(1) < 1) & (factor.flatten(1).amax(1) > 0)).all()


def test_without_an_augmentation_of_the_data_set_it_gets_the_plain_images(subset: Subset) -> None:
    plain_images, after = feed_of(subset).next(START), feed_of(subset, Darken()).next(START)
    others = after.labels_a != 0
    assert torch.equal(plain_images.images[others], after.images[others])


def test_the_global_random_state_is_left_alone(subset: Subset) -> None:
    before = torch.get_rng_state()
    feed_of(subset, Darken(), Mixup(), first=CropFlip()).next(START)
    assert torch.equal(torch.get_rng_state(), before)


# --- second stream ----------------------------------------------------------------------------------------------------


class Beside(Mix, frozen=True):
    """Replaces the images by those of the second stream."""

    name = "beside"
    partner: ClassVar[str] = "cb_sampler"

    def blend(self, images, told: Told, generator):
        assert told.partner is not None
        assert told.partner.images.shape == images.shape
        return Mixed(
            images=told.partner.images, labels_a=told.labels, labels_b=told.partner.labels,
            lam=torch.zeros(len(images)),
        )  # fmt: skip


def test_the_second_stream_is_of_its_own_sampler_with_the_same_augmentation(subset: Subset) -> None:
    feed = feed_of(subset, Darken(), Beside(), first=CropFlip(padding=1), partner=CbSampler())
    batches = [feed.next(START) for _ in range(70)]
    first = torch.cat([batch.labels_a for batch in batches]).bincount() / 560
    second = torch.cat([batch.labels_b for batch in batches]).bincount() / 560
    torch.testing.assert_close(first, torch.tensor([30, 17, 10]) / 57, atol=0.01, rtol=0)
    torch.testing.assert_close(second, torch.full((3,), 1 / 3), atol=0.07, rtol=0)
    stored = subset.images / 255
    augmented = [not (image == stored).flatten(1).all(1).any() for image in batches[0].images]
    assert any(augmented)


def test_the_second_stream_changes_no_draw_of_the_first(subset: Subset) -> None:
    class Watching(Beside, frozen=True):
        name = "watching"

        def blend(self, images, told, generator):
            return Mixed(images=images, labels_a=told.labels, labels_b=told.labels, lam=torch.ones(len(images)))

    alone, both = feed_of(subset, CropFlip()), feed_of(subset, CropFlip(), Watching(), partner=CbSampler())
    for _ in range(9):
        assert torch.equal(alone.next(START).images, both.next(START).images)


def test_an_epoch_of_the_second_stream_goes_on_across_epochs_of_the_first(subset: Subset) -> None:
    feed = feed_of(subset, None, Beside(), partner=Shuffle())
    seen: list[int] = []
    for _ in range(14):  # 112 images are one epoch of 57, and 55 of the next
        batch = feed.next(START)
        same_image = (batch.images[:, None] - subset.images[None] / 255).abs().amax((2, 3, 4)) < 1e-6
        seen += same_image.int().argmax(1).tolist()
    assert sorted(seen[:57]) == list(range(57))
    assert len(set(seen[57:])) == 55
    assert seen[:55] != seen[57:]


# --- hidden mixes -----------------------------------------------------------------------------------------------------


class Inside(Mix, frozen=True):
    """Mixup inside the network, with a fixed share."""

    name = "inside"
    where: ClassVar[str] = "hidden"
    lam: float = 0.75

    def mix(self, images, labels, counts, generator):
        return Mixup(lam=self.lam).mix(images, labels, counts, generator)


def hidden_feed(subset: Subset, mix: Mix) -> tuple[Feed, nn.Module]:
    torch.manual_seed(0)
    network = ConvNet().build(1, 8, CLASSES).eval()
    feed = Feed(subset, lambda images: images, 0, CPU)
    feed.start_segment(order_of(subset, Shuffle()), Reading(None), mix, places=places(mix, ConvNet(), network))
    return feed, network


def test_a_hidden_mix_blends_the_images_or_the_output_of_a_block_but_the_last(subset: Subset) -> None:
    feed, network = hidden_feed(subset, Inside())
    found = set()
    for _ in range(30):
        batch = feed.next(START)
        with torch.no_grad():
            logits, blended = batch.hidden.run(network, batch.images)
            candidates = []
            # Blend by hand at each place, with the permutation that the labels show.
            for place in range(len(network.blocks()) + 1):
                maps = batch.images
                for number in range(len(network.blocks()) + 1):
                    if number == place:
                        maps = 0.75 * maps + 0.25 * maps[permutation(batch)]
                    if number < len(network.blocks()):
                        maps = network.blocks()[number](maps)
                candidates.append(network.forward_head(maps))
        assert torch.equal(blended.labels_b, batch.labels_a[permutation(batch)])
        assert blended.lam.tolist() == [0.75] * len(logits)
        close = [place for place, other in enumerate(candidates) if torch.allclose(logits, other, atol=1e-5)]
        assert close, "blended nowhere"
        found |= {close[0]}
    assert found == set(range(len(network.blocks()))), "the images, and every block but the last"


def permutation(batch: Batch) -> torch.Tensor:
    """Return the permutation that the hidden mix of a batch draws."""
    stream = torch.Generator().manual_seed(batch.hidden._seed)
    return torch.randperm(8, generator=stream)


def test_every_pass_of_a_step_blends_in_the_same_way(subset: Subset) -> None:
    feed, network = hidden_feed(subset, Inside())
    for _ in range(7):
        batch = feed.next(START)
        (first, labels), (second, again) = (batch.hidden.run(network, batch.images) for _ in range(2))
        assert torch.equal(first, second)
        assert torch.equal(labels.labels_b, again.labels_b)
    assert not any(module._forward_hooks for module in network.modules())


def test_with_nothing_to_blend_the_logits_are_those_of_the_plain_network(subset: Subset) -> None:
    feed, network = hidden_feed(subset, Inside(lam=1.0))
    for _ in range(7):
        batch = feed.next(START)
        assert torch.equal(batch.hidden.run(network, batch.images)[0], network(batch.images))


def test_a_network_without_blocks_and_a_second_stream_are_refused(subset: Subset) -> None:
    class Both(Inside, frozen=True):
        name = "both"
        partner: ClassVar[str] = "cb_sampler"

    network = Net().build(1, 8, CLASSES)
    with pytest.raises(JobFailed, match=r"model 'net' has no `blocks\(\)`"):
        places(Inside(), Net(), network)
    with pytest.raises(JobFailed, match="partner stream"):
        places(Both(), Net(), network)
    assert places(Mixup(), Net(), network) == ()


# --- a training with all of it ----------------------------------------------------------------------------------------


class Small(Model, frozen=True):
    """A network with blocks and dropout."""

    name = "small"
    has_blocks = True

    def build(self, channels: int, size: int, classes: int) -> nn.Module:
        network = ConvNet(width=4, depth=2).build(channels, size, classes)
        network.features.append(nn.Dropout(0.2))
        return network


MORE = (Darken, Beside, Inside, Growing, Small)
CASES: dict[str, dict[str, object]] = {
    "second stream": {"mix": Beside(), "partner": CbSampler()},
    "follows": {"augment": Darken(), "augment_first": CropFlip(padding=1)},
    "hidden": {"mix": Inside()},
    "told the epoch": {"sampler": Growing()},
    "both streams augmented": {
        "augment": Darken(), "augment_first": CropFlip(padding=1), "mix": Beside(), "partner": CbSampler(),
    },
}  # fmt: skip


@pytest.mark.parametrize("at", [1, 5, 13])
@pytest.mark.parametrize("case", CASES)
def test_a_training_resumed_anywhere_ends_with_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str, at: int
) -> None:
    techniques = CASES[case]
    job = fit_job(plain(0.5, **techniques), plain(**techniques, restart=True), model=Small())
    interrupted(tmp_path / "parts", monkeypatch, job, at)
    whole = context_of(tmp_path / "whole", *MORE)
    fit(job, whole)
    parts = context_of(tmp_path / "parts", *MORE)
    fit(job, parts)
    assert parts.store.meta(job.key)["resumed_from"]
    assert same(weights(parts, job), weights(whole, job))


@pytest.mark.parametrize("case", CASES)
def test_a_switch_in_the_middle_continues_the_plain_training(tmp_path: Path, case: str) -> None:
    first = fit_job(plain(0.5), model=Small())
    switched = fit_job(plain(0.5), plain(**CASES[case]), model=Small())
    parts, whole = context_of(tmp_path / "parts", *MORE), context_of(tmp_path / "whole", *MORE)
    fit(msgspec.structs.replace(first, keep_state=True), parts)
    fit(msgspec.structs.replace(switched, parents=(first.key,)), parts)
    fit(switched, whole)
    assert parts.store.meta(switched.key)["resumed_from"]
    assert same(weights(parts, switched), weights(whole, switched))
    assert not same(weights(parts, switched), weights(parts, first))


def interrupted(root: Path, monkeypatch: pytest.MonkeyPatch, job: Job, at: int) -> None:
    real: Callable[[Snapshots, Training], None] = Snapshots.__call__

    def until_the_accident(self: Snapshots, training: Training) -> None:
        real(self, training)
        if training.steps == at:
            raise Accident

    with monkeypatch.context() as patch:
        patch.setattr(Snapshots, "__call__", until_the_accident)
        with pytest.raises(Accident):
            fit(job, msgspec.structs.replace(context_of(root, *MORE), snapshot_seconds=0.0))
