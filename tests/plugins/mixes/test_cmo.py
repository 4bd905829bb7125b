from __future__ import annotations

import pytest
import torch
from plugins.checks import generator

from ltbench import Mixed, Moment, Partner, Told
from ltbench.testing import checks
from ltbench_plugins.mixes._boxes import paste, shares
from ltbench_plugins.mixes.cmo import Cmo

SIZE = 8

test_it_conforms = checks(Cmo(first=0, last=0, chance=1.0))
test_one_box_for_a_batch_conforms = checks(Cmo(first=0, last=0, chance=1.0, per_batch=True))


def blend(cmo: Cmo, epoch: int = 5, epochs: float = 10.0, size: int = 64, seed: int = 0) -> Mixed:
    """Return a blend of black images of class 0 with white ones of class 1 from the second stream."""
    partner = Partner(images=torch.ones(size, 1, SIZE, SIZE), labels=torch.ones(size, dtype=torch.int64))
    moment = Moment(epoch=epoch, epochs=epochs, step=10 * epoch, steps=int(10 * epochs))
    told = Told(
        indices=torch.arange(size), labels=torch.zeros(size, dtype=torch.int64), counts=torch.tensor([90, 10]),
        moment=moment, partner=partner,
    )  # fmt: skip
    return cmo.blend(torch.zeros(size, 1, SIZE, SIZE), told, generator(seed))


def test_a_box_of_the_second_stream_is_pasted_and_the_loss_has_the_share_of_pixels() -> None:
    mixed = blend(Cmo(chance=1.0))
    white = mixed.images.mean((1, 2, 3))
    torch.testing.assert_close(1 - mixed.lam, white)
    assert set(mixed.images.unique().tolist()) == {0.0, 1.0}
    assert mixed.labels_a.tolist() == [0] * 64
    assert mixed.labels_b.tolist() == [1] * 64
    for image in mixed.images[white > 0]:  # the white pixels are a whole box
        rows, columns = image[0].any(1).nonzero(), image[0].any(0).nonzero()
        box = (rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1)
        assert int(box) == int(image.sum())


def test_an_image_gets_a_box_with_probability_one_half() -> None:
    untouched = int((blend(Cmo(), size=2000).lam == 1).sum())
    always = int((blend(Cmo(chance=1.0), size=2000).lam == 1).sum())  # boxes that are rounded to nothing
    assert untouched == pytest.approx(1000 + always / 2, abs=70)


def test_one_box_or_none_for_all_images_of_a_batch() -> None:
    made = [blend(Cmo(per_batch=True), size=4, seed=seed) for seed in range(400)]
    for mixed in made:
        assert len(mixed.lam.unique()) == 1
        assert bool((mixed.images == mixed.images[:1]).all())
        torch.testing.assert_close(1 - mixed.lam, mixed.images.mean((1, 2, 3)))
    # As many are without a box as there are images without one if each has its own.
    each = float((blend(Cmo(), size=4000).lam == 1).float().mean())
    assert sum(float(mixed.lam[0]) == 1 for mixed in made) / 400 == pytest.approx(each, abs=0.08)
    assert len({float(mixed.lam[0]) for mixed in made}) > 10, "a new box for each batch"


@pytest.mark.parametrize("epochs", [10.0, 200.0])
def test_it_is_on_while_3_is_less_than_the_epoch_and_that_less_than_epochs_minus_3(epochs: float) -> None:
    on = [epoch for epoch in range(int(epochs)) if bool((blend(Cmo(), epoch, epochs).lam < 1).any())]
    assert on == [epoch for epoch in range(int(epochs)) if 3 < epoch < epochs - 3]


def test_a_training_of_seven_epochs_is_never_blended() -> None:
    assert all(bool((blend(Cmo(), epoch, 7.0).lam == 1).all()) for epoch in range(7))


def test_the_second_stream_weighs_classes_or_images() -> None:
    assert Cmo().partner == "reverse"
    assert Cmo(per_image=True).partner == "cb_sampler"


def test_with_the_batch_as_second_stream_it_is_cutmix() -> None:
    images, labels = torch.randn(16, 3, SIZE, SIZE), torch.arange(16) % 4
    order, stream = torch.randperm(16), generator(1)
    told = Told(
        indices=order, labels=labels, counts=torch.ones(4), moment=Moment(epoch=5, epochs=10.0, step=5, steps=10),
        partner=Partner(images=images[order], labels=labels[order]),
    )  # fmt: skip
    ours = Cmo(chance=1.0).blend(images, told, generator(1))
    torch.rand(16, generator=stream)  # who gets a box: everyone
    boxes, kept = paste(images, images[order], shares(images, 1.0, None, stream), stream)
    assert torch.equal(ours.images, boxes)
    assert torch.equal(ours.lam, kept)
