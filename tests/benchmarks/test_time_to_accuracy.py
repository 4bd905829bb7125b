"""A training of `cifar10-lt` against one in the protocol of LDAM: the step of each, and what a whole training costs.

Both sides train on one thread, on images of the shape of CIFAR-10, in the same process, with alternating rounds.
`share` is the cost of a training of the suite, relative to the 200 epochs of ResNet-32 on the same images, and `top1` the
accuracy of cross-entropy at the end of it, from the committed leaderboard.

    pytest tests/benchmarks/test_time_to_accuracy.py --benchmark-only
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from engine.trainings import run_until

from ltbench.core.spec import Job
from ltbench.engine.determinism import reproducible, seeded
from ltbench.engine.subset import Subset
from ltbench.engine.training import Training
from ltbench.planning.parts import make_plan
from ltbench.records.records_file import read_records_file
from ltbench.registry.registry import Registry
from ltbench.suite.suite import changed, find_suite
from ltbench_plugins.datasets.cifar10 import Cifar10

CPU = torch.device("cpu")
FAST, PROTOCOL = "cifar10-lt", "cifar10-lt-ldam"
IMAGES, STEPS, ROUNDS, WARM = 12_406, 2, 4, 1
LEADERBOARD = Path(__file__).parents[2] / "leaderboards" / FAST


def plain_fit(name: str, registry: Registry) -> Job:
    """Return the job of cross-entropy in a suite."""
    suite = changed(find_suite(name, registry), combinations=[], techniques=[], imbalance_factors=[100], seeds=[0])
    (job,) = (job for job in make_plan(suite, registry, Path()).jobs.values() if job.kind == "fit")
    return job


class Steps:
    """Does a few steps of a training at each call, and records their CPU seconds."""

    def __init__(self, name: str, registry: Registry, subset: Subset) -> None:
        self.training = Training(plain_fit(name, registry).spec, subset, registry, CPU)
        self.number = len(self.training.spans[0])
        """Steps of the whole training."""
        self.seconds: list[float] = []

    def __call__(self) -> None:
        began = time.process_time()
        run_until(self.training, self.training.steps + STEPS)
        self.seconds.append((time.process_time() - began) / STEPS)

    @property
    def whole(self) -> float:
        """CPU seconds of the whole training."""
        return min(self.seconds[WARM:]) * self.number


@pytest.fixture(scope="module")
def subset() -> Subset:
    """As many images as CIFAR-10-LT has at factor 100, of noise."""
    stream = torch.Generator().manual_seed(0)
    labels = torch.randint(10, (IMAGES,), generator=stream)
    images = torch.randint(256, (IMAGES, 3, 32, 32), generator=stream, dtype=torch.uint8)
    none = {
        "test_images": images[:0],
        "test_labels": labels[:0],
        "held_out_images": images[:0],
        "held_out_labels": labels[:0],
    }
    return Subset(images=images, labels=labels, counts=labels.bincount(), info=Cifar10.about, **none)


@pytest.fixture
def one_thread() -> Iterator[None]:
    with reproducible(CPU), seeded(0, "benchmark", CPU):
        yield


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("side", [FAST, PROTOCOL])
@pytest.mark.benchmark(group="time to accuracy")
def test_steps_of_both(benchmark, registry: Registry, subset: Subset, side: str) -> None:
    sides = {name: Steps(name, registry, subset) for name in (FAST, PROTOCOL)}
    other = sides[PROTOCOL if side == FAST else FAST]
    benchmark.pedantic(sides[side], setup=other, rounds=ROUNDS, warmup_rounds=WARM)
    top1 = [
        record.metrics["top1"]
        for record in read_records_file(LEADERBOARD / "records.jsonl").records
        if record.setting.imbalance_factor == 100 and not any(record.combination.values())
    ]
    benchmark.extra_info |= {
        "images_per_cpu_second": round(sides[side].training.recipe.batch_size / min(sides[side].seconds[WARM:])),
        "share": f"1/{sides[PROTOCOL].whole / sides[FAST].whole:.1f}",
        "top1": round(statistics.fmean(top1), 4),
    }
    assert sides[FAST].number < sides[PROTOCOL].number
