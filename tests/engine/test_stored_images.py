"""Images that stay on disk: batches have the bits that they have in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from engine.world import context_of, fit_job, plain, same, weights
from safetensors.torch import load_file

from ltbench.core.spec import PROTOCOL, Job, identity
from ltbench.engine import stored_images, subset
from ltbench.engine.augmented_images import reader
from ltbench.engine.fit import fit
from ltbench.engine.predict import predict
from ltbench.engine.segment import Reading
from ltbench.engine.stored_images import StoredImages, all_images, centre_of, images_at, in_batches
from ltbench.engine.streams import generator
from ltbench.image_files.image_rows import ImageRows
from ltbench.stages import Moment, Told
from ltbench_plugins.augments.autoaugment import AutoAugment
from ltbench_plugins.augments.crop_flip import CropFlip
from ltbench_plugins.augments.flip import Flip
from ltbench_plugins.mixes.mixup import Mixup
from ltbench_plugins.samplers.cb_sampler import CbSampler

ROWS = torch.tensor([5, 1, 1, 17, 0])


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (20, 3, 8, 8), np.uint8)


@pytest.fixture
def stored(images: np.ndarray, tmp_path: Path) -> StoredImages:
    (tmp_path / "pixels").write_bytes(images.tobytes())
    return StoredImages(ImageRows(tmp_path / "pixels", (3, 8, 8), np.arange(20)))


def test_an_index_reads_what_it_reads_of_a_tensor(images: np.ndarray, stored: StoredImages) -> None:
    whole = torch.from_numpy(images)
    assert stored.shape == whole.shape
    assert torch.equal(stored[ROWS], whole[ROWS])
    assert torch.equal(stored.selected(ROWS)[torch.tensor([3, 0])], whole[ROWS][[3, 0]])
    for size in (7, 20, 100):
        for one, other in zip(in_batches(stored, size), in_batches(whole, size), strict=True):
            assert torch.equal(one, other)


def test_what_was_expected_is_not_read_again(
    images: np.ndarray, stored: StoredImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    for view in (stored, stored.centre(6), stored.centre(8)):
        stored.expect(ROWS)
        stored._source._expected[1].result()
        with monkeypatch.context() as patch:
            patch.setattr(ImageRows, "__getitem__", lambda *_: pytest.fail("read again"))
            read = view[ROWS]
        assert torch.equal(read, centre_of(torch.from_numpy(images), view.shape[-1])[ROWS])


def test_what_was_expected_is_returned_and_nothing_else(images: np.ndarray, stored: StoredImages) -> None:
    whole = torch.from_numpy(images)
    stored.expect(ROWS)
    assert torch.equal(stored[torch.tensor([2])], whole[[2]])
    assert torch.equal(stored[ROWS], whole[ROWS])
    assert torch.equal(stored[ROWS], whole[ROWS])


@pytest.mark.parametrize("augment", [None, CropFlip(), Flip(), AutoAugment()], ids=str)
def test_augmented_batches_have_the_same_bits(augment, images: np.ndarray, stored: StoredImages) -> None:
    def tell(_: object) -> Told:
        moment = Moment(epoch=0, epochs=1.0, step=0, steps=1)
        return Told(indices=ROWS, labels=ROWS, counts=torch.ones(20, dtype=torch.int64), moment=moment)

    batches = [
        reader(source, Reading(augment), 8)(ROWS, tell, lambda name: generator(3, name))
        for source in (torch.from_numpy(images), stored)
    ]
    assert torch.equal(*batches)


def test_few_images_are_in_memory_and_many_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "a.npy", np.zeros((20, 3, 8, 8), np.uint8))
    mapped = np.load(tmp_path / "a.npy", mmap_mode="c")
    rows = ImageRows(tmp_path / "a.npy", (3, 8, 8), np.arange(20))
    for source in (mapped, rows):
        assert isinstance(images_at(source, np.arange(10)), torch.Tensor)
        assert isinstance(all_images(source), torch.Tensor)
        with monkeypatch.context() as patch:
            patch.setattr(stored_images, "IN_MEMORY", 10 * 192)
            assert isinstance(images_at(source, np.arange(10)), torch.Tensor)
            assert isinstance(images_at(source, np.arange(11)), StoredImages)
            assert isinstance(all_images(source), StoredImages)
            # An array that is in memory anyway stays there.
            assert isinstance(all_images(np.array(mapped)), torch.Tensor)


class Larger(CropFlip, frozen=True):
    """Takes the corner of what is stored."""

    def to_size(self, images: torch.Tensor, size: int, generator: torch.Generator) -> torch.Tensor:
        return images[..., :size, :size]


@pytest.mark.parametrize("in_file", [False, True])
def test_of_larger_images_the_centre_is_taken_unless_an_augmentation_chooses(
    in_file: bool, images: np.ndarray, stored: StoredImages
) -> None:
    whole = torch.from_numpy(images)
    source = stored if in_file else whole
    centre = whole[:, :, 1:7, 1:7]
    assert torch.equal(centre_of(source, 6)[ROWS], centre[ROWS])
    assert torch.equal(torch.cat(list(in_batches(centre_of(source, 6), 7))), centre)
    if in_file:
        assert torch.equal(centre_of(stored, 6).selected(ROWS)[torch.tensor([4])], centre[[0]])

    def batch(augment: object, of: object, size: int) -> torch.Tensor:
        return reader(of, Reading(augment), size)(ROWS, None, lambda name: generator(3, name))

    assert torch.equal(batch(None, source, 6), centre[ROWS].float().mul_(1 / 255))
    assert torch.equal(batch(CropFlip(padding=1), source, 6), batch(CropFlip(padding=1), centre, 6))
    assert torch.equal(batch(Larger(), source, 6), whole[ROWS][..., :6, :6].float().mul_(1 / 255))
    assert torch.equal(batch(Larger(), source, 8), batch(CropFlip(), source, 8))


@pytest.mark.parametrize("bag", [None, 0])
def test_a_training_and_a_prediction_have_the_same_bits(
    bag: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    augmented = plain(augment=CropFlip(padding=1), mix=Mixup(alpha=0.4), until=0.5)
    job = fit_job(augmented, plain(sampler=CbSampler()), bag=bag)
    view = {"kind": "predict", "protocol": PROTOCOL, "fit": job.key, "split": "test", "view": "identity"}
    predicted = Job(key=identity(view), kind="predict", spec=view, parents=(job.key,))
    results = []
    for name, limit in (("memory", stored_images.IN_MEMORY), ("file", 0)):
        subset.forget()
        monkeypatch.setattr(stored_images, "IN_MEMORY", limit)
        context = context_of(tmp_path / name)
        fit(job, context)
        predict(predicted, context)
        kind = torch.Tensor if limit else StoredImages
        assert isinstance(subset.load(job.spec["data"], context.registry, context.data_root).images, kind)
        results.append((weights(context, job), load_file(context.store.path(predicted.key) / "logits.safetensors")))
    subset.forget()
    (memory, file), (logits, others) = zip(*results, strict=True)
    assert same(memory, file)
    assert same(logits, others)
