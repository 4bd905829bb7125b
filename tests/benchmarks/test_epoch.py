"""A training epoch of ltbench against the usual PyTorch loop; `ratio` is the speed-up within the run.

The usual loop: a torchvision `Dataset` of PIL images with crop, flip, `ToTensor` and `Normalize` in a `DataLoader`,
and the same network, loss and optimiser in fp32 NCHW. Both sides train on one thread, on the same images, in the same
process, with alternating rounds, so that a busy machine slows both.

    pytest tests/benchmarks/test_epoch.py --benchmark-only
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from engine.trainings import run_until
from engine.world import World, fit_job, plain
from torch import nn
from torch.utils.data import DataLoader, Dataset

from ltbench.engine.determinism import reproducible, seeded
from ltbench.engine.schedule import moment
from ltbench.engine.subset import Subset, load
from ltbench.engine.training import Training
from ltbench_plugins.augments.crop_flip import CropFlip
from ltbench_plugins.datasets.fashion_mini import FashionMini
from ltbench_plugins.models.convnet import ConvNet

CPU = torch.device("cpu")
BATCH, PADDING, LR, WARM, ROUNDS = 64, 2, 0.1, 1, 5
DATASET = FashionMini()


@pytest.fixture(scope="module")
def subset(tmp_path_factory: pytest.TempPathFactory) -> Subset:
    """2,448 images: Fashion-MNIST-mini at imbalance factor 10."""
    info = DATASET.info(Path())
    data = fit_job(factor=10.0).spec["data"] | {"dataset": spec_of(DATASET), "fingerprint": info.fingerprint}
    return load(data, World(FashionMini, ConvNet), tmp_path_factory.mktemp("data"))


def spec_of(technique: object) -> dict[str, object]:
    return World().spec(technique)


class Pictures(Dataset):
    """Images as PIL images, transformed one by one."""

    def __init__(self, subset: Subset) -> None:
        from torchvision import transforms

        self.pictures = [transforms.functional.to_pil_image(image) for image in subset.images]
        self.labels = subset.labels.tolist()
        info = DATASET.info(Path())
        self.transform = transforms.Compose([
            transforms.RandomCrop(info.size, padding=PADDING), transforms.RandomHorizontalFlip(),
            transforms.ToTensor(), transforms.Normalize(info.mean, info.std),
        ])  # fmt: skip

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(self.pictures[index]), self.labels[index]


def usual_epochs(subset: Subset) -> Iterator[float]:
    """Train with the usual loop; yield the mean loss of each epoch."""
    network = ConvNet().build(1, 28, 10)
    loader = DataLoader(Pictures(subset), batch_size=BATCH, shuffle=True, num_workers=0)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(network.parameters(), lr=LR, momentum=0.9, weight_decay=5e-4)
    while True:
        total = 0.0
        for images, labels in loader:
            optimizer.zero_grad()
            loss = criterion(network(images), labels)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(images)
        yield total / len(subset.labels)


def our_epochs(subset: Subset, epochs: int) -> Iterator[float]:
    """Train as a fit does; yield the mean loss of each epoch."""
    segment = plain(augment=CropFlip(padding=PADDING))
    recipe = {"epochs": epochs, "batch_size": BATCH, "lr": LR, "schedule": "constant"}
    spec = fit_job(segment, recipe=recipe, model=ConvNet()).spec
    training = Training(spec, subset, World(FashionMini, ConvNet), CPU)
    for epoch in range(epochs):
        run_until(training, (epoch + 1) * training.orders[0].batches_per_epoch)
        yield training.curve.entries()["loss"][-1]


def our_batches(subset: Subset) -> Iterator[int]:
    """Run the feed without training; yield the images of each epoch."""
    segment = plain(augment=CropFlip(padding=PADDING))
    spec = fit_job(segment, recipe={"batch_size": BATCH}, model=ConvNet()).spec
    training = Training(spec, subset, World(FashionMini, ConvNet), CPU)
    order = training.orders[0]
    training.feed.start_segment(order, training.segments[0].reading, None)
    start = moment(training.spans[0], 0, order.batches_per_epoch, restart=False)
    while True:
        yield sum(len(training.feed.next(start).images) for _ in range(order.batches_per_epoch))


def usual_batches(subset: Subset) -> Iterator[int]:
    """Run the loader without training; yield the images of each epoch."""
    loader = DataLoader(Pictures(subset), batch_size=BATCH, shuffle=True, num_workers=0)
    while True:
        yield sum(len(images) for images, _ in loader)


class Stopwatch:
    """Runs epochs and records their CPU seconds, which other processes on the machine hardly change."""

    def __init__(self, epochs: Iterator[float]) -> None:
        self.epochs = epochs
        self.seconds: list[float] = []

    def __call__(self) -> float:
        began = time.process_time()
        result = next(self.epochs)
        self.seconds.append(time.process_time() - began)
        return result

    @property
    def best(self) -> float:
        return min(self.seconds[WARM:])


def compare(benchmark, subset: Subset, side: str, ours: Iterator[float], usual: Iterator[float]) -> None:
    """Benchmark one side, with a round of the other before each of its rounds, and report the ratio."""
    watches = {"ltbench": Stopwatch(ours), "loader": Stopwatch(usual)}
    measured = watches.pop(side)
    other = next(iter(watches.values()))

    def setup() -> None:
        other()

    with reproducible(CPU), seeded(0, "benchmark", CPU):
        benchmark.pedantic(measured, setup=setup, rounds=ROUNDS, warmup_rounds=WARM)
    of_ours, of_usual = (measured, other) if side == "ltbench" else (other, measured)
    benchmark.extra_info |= {
        "images_per_cpu_second": round(len(subset.labels) / measured.best),
        "ratio": round(of_usual.best / of_ours.best, 2),
    }
    assert of_ours.best < of_usual.best


both_sides = pytest.mark.parametrize("side", ["ltbench", "loader"])


@both_sides
@pytest.mark.benchmark(group="epoch")
def test_an_epoch(benchmark, subset: Subset, side: str) -> None:
    compare(benchmark, subset, side, our_epochs(subset, ROUNDS + WARM), usual_epochs(subset))


@both_sides
@pytest.mark.benchmark(group="feed")
def test_the_feed_alone(benchmark, subset: Subset, side: str) -> None:
    compare(benchmark, subset, side, our_batches(subset), usual_batches(subset))
