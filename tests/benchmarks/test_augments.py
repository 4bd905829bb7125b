"""Images per second of each augmentation and mix, and of the same torchvision transform in a loop over the images.

Augmentations start from stored bytes, mixes from float images; both use one thread, as in a run. Each group holds one
technique and its torchvision counterpart. `images_per_second` in the extra information is absolute and compares only
with runs on the same machine; divide two of one group for a ratio, which a busy machine changes, as the two sides
run one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn
from torchvision import transforms
from torchvision.transforms import v2

from ltbench import Augment, Mix
from ltbench_plugins.augments.crop_flip import CropFlip
from ltbench_plugins.augments.flip import Flip
from ltbench_plugins.augments.jiang_augment import JiangAugment
from ltbench_plugins.mixes.cutmix import Cutmix
from ltbench_plugins.mixes.mixup import Mixup
from ltbench_plugins.mixes.tail_cutmix import TailCutmix

BATCH, CLASSES = 128, 10


def sometimes(transform: nn.Module) -> nn.Module:
    return transforms.RandomApply(nn.ModuleList([transform]), p=0.3)


AUGMENTS: dict[str, tuple[Augment, Callable[[Tensor], Tensor]]] = {
    "flip": (Flip(), transforms.RandomHorizontalFlip()),
    "crop_flip": (
        CropFlip(),
        transforms.Compose([transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()]),
    ),
    "jiang_augment": (
        JiangAugment(),
        transforms.Compose(
            [
                sometimes(transforms.RandomAffine(degrees=0, translate=(0.1, 0.1))),
                transforms.RandomHorizontalFlip(p=0.3),
                sometimes(transforms.RandomRotation(degrees=45)),
                sometimes(transforms.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.2)),
            ]
        ),
    ),
}
MIXES: dict[str, tuple[Mix, Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]]] = {
    "mixup": (Mixup(), v2.MixUp(alpha=0.4, num_classes=CLASSES)),
    "cutmix": (Cutmix(), v2.CutMix(alpha=1.0, num_classes=CLASSES)),
    "tail_cutmix": (TailCutmix(), v2.CutMix(alpha=1.0, num_classes=CLASSES)),
}


@pytest.fixture
def stored() -> Tensor:
    return torch.randint(256, (BATCH, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def measure(benchmark, group: str, run: Callable[[], object]) -> None:
    benchmark.group = group
    benchmark(run)
    if benchmark.stats:  # none with --benchmark-disable
        benchmark.extra_info["images_per_second"] = round(BATCH / benchmark.stats.stats.median)


@pytest.mark.parametrize("name", AUGMENTS)
def test_augment(benchmark, stored: Tensor, name: str) -> None:
    augment, generator = AUGMENTS[name][0], torch.Generator().manual_seed(0)
    prepared, indices = augment.prepare(stored), torch.arange(BATCH)
    measure(benchmark, name, lambda: augment.batch(prepared, indices, generator))


@pytest.mark.parametrize("name", AUGMENTS)
def test_torchvision_one_by_one(benchmark, stored: Tensor, name: str) -> None:
    transform = AUGMENTS[name][1]
    measure(benchmark, name, lambda: torch.stack([transform(image.float() / 255) for image in stored]))


@pytest.mark.parametrize("name", MIXES)
def test_mix(benchmark, stored: Tensor, name: str) -> None:
    images, mix, generator = stored / 255, MIXES[name][0], torch.Generator().manual_seed(0)
    labels, counts = torch.arange(BATCH) % CLASSES, torch.arange(CLASSES, 0, -1)
    measure(benchmark, name, lambda: mix.mix(images, labels, counts, generator))


@pytest.mark.parametrize("name", MIXES)
def test_torchvision_pair_by_pair(benchmark, stored: Tensor, name: str) -> None:
    images, transform, labels = stored / 255, MIXES[name][1], torch.arange(BATCH) % CLASSES

    def one_by_one() -> Tensor:
        # torchvision draws once per batch. For a draw per image, as ours, each image and its partner are a batch.
        partners = torch.randperm(BATCH)
        return torch.stack([transform(images[[a, b]], labels[[a, b]])[0][0] for a, b in enumerate(partners.tolist())])

    measure(benchmark, name, one_by_one)
