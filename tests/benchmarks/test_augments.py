"""Images per second of each augmentation and mix, against the same torchvision transform in a loop over the images.

Augmentations go from stored bytes to float images, mixes from float images, on one thread as in a run. The groups are
the techniques; `images_per_second` is in the extra information of each row.
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
    if benchmark.stats:
        benchmark.extra_info["images_per_second"] = round(BATCH / benchmark.stats.stats.median)


@pytest.mark.parametrize("name", AUGMENTS)
def test_augment(benchmark, stored: Tensor, name: str) -> None:
    ours, generator = AUGMENTS[name][0], torch.Generator().manual_seed(0)
    prepared, indices = ours.prepare(stored), torch.arange(BATCH)
    measure(benchmark, name, lambda: ours.batch(prepared, indices, generator))


@pytest.mark.parametrize("name", AUGMENTS)
def test_torchvision_one_by_one(benchmark, stored: Tensor, name: str) -> None:
    theirs = AUGMENTS[name][1]
    measure(benchmark, name, lambda: torch.stack([theirs(image.float() / 255) for image in stored]))


@pytest.mark.parametrize("name", MIXES)
def test_mix(benchmark, stored: Tensor, name: str) -> None:
    images, ours, generator = stored / 255, MIXES[name][0], torch.Generator().manual_seed(0)
    labels, counts = torch.arange(BATCH) % CLASSES, torch.arange(CLASSES, 0, -1)
    measure(benchmark, name, lambda: ours.mix(images, labels, counts, generator))


@pytest.mark.parametrize("name", MIXES)
def test_torchvision_pair_by_pair(benchmark, stored: Tensor, name: str) -> None:
    images, theirs, labels = stored / 255, MIXES[name][1], torch.arange(BATCH) % CLASSES

    def one_by_one() -> Tensor:
        # torchvision draws once for a batch; a draw for each image takes a batch of each image and its partner.
        partner = torch.randperm(BATCH)
        return torch.stack([theirs(images[[a, b]], labels[[a, b]])[0][0] for a, b in enumerate(partner.tolist())])

    measure(benchmark, name, one_by_one)
