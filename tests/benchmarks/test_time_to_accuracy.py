"""A training of `cifar10-lt` and of `cifar100-lt` against one in the protocol of LDAM: their steps, and what a training costs.

Both sides train on one thread, on noise of the shape of their images, in the same process, with alternating rounds.
`share` is the cost of a training of the suite, relative to the 200 epochs of ResNet-32 on as many images, and `top1` the
accuracy of cross-entropy at the end of it, where a leaderboard is committed.

    pytest tests/benchmarks/test_time_to_accuracy.py --benchmark-only --benchmark-json=times.json
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
from ltbench.stages import DatasetInfo
from ltbench.suite.suite import changed, find_suite
from ltbench_plugins.datasets.cifar10 import Cifar10
from ltbench_plugins.datasets.cifar100 import Cifar100

CPU = torch.device("cpu")
STEPS, ROUNDS, WARM = 2, 4, 1
LEADERBOARDS = Path(__file__).parents[2] / "leaderboards"
DATA = {"cifar10-lt": (Cifar10.about, 12_406), "cifar100-lt": (Cifar100.about, 10_847)}
"""Suite -> its data set, and the images at factor 100."""
FEWER_STEPS = 16
"""A training of the suites has so many times fewer steps; the rest of the difference is that of the networks."""


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


def noise(info: DatasetInfo, number: int) -> Subset:
    """Return a training subset of noise."""
    stream = torch.Generator().manual_seed(0)
    labels = torch.randint(len(info.classes), (number,), generator=stream)
    images = torch.randint(256, (number, info.channels, info.size, info.size), generator=stream, dtype=torch.uint8)
    none = {
        "test_images": images[:0],
        "test_labels": labels[:0],
        "held_out_images": images[:0],
        "held_out_labels": labels[:0],
    }
    return Subset(images=images, labels=labels, counts=labels.bincount(), info=info, **none)


def published_accuracies(suite: str) -> list[float]:
    """Return those of cross-entropy at factor 100, if there is a leaderboard."""
    file = LEADERBOARDS / suite / "records.jsonl"
    return [
        record.metrics["top1"]
        for record in (read_records_file(file).records if file.exists() else ())
        if record.setting.imbalance_factor == 100 and not any(record.combination.values())
    ]


@pytest.fixture
def one_thread() -> Iterator[None]:
    with reproducible(CPU), seeded(0, "benchmark", CPU):
        yield


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("side", ["fast", "protocol"])
@pytest.mark.parametrize("suite", DATA)
@pytest.mark.benchmark(group="time to accuracy")
def test_steps_of_both(benchmark, registry: Registry, suite: str, side: str) -> None:
    subset = noise(*DATA[suite])
    fast, protocol = Steps(suite, registry, subset), Steps(f"{suite}-ldam", registry, subset)
    this, other = (fast, protocol) if side == "fast" else (protocol, fast)
    benchmark.pedantic(this, setup=other, rounds=ROUNDS, warmup_rounds=WARM)
    top1 = published_accuracies(suite)
    benchmark.extra_info |= {
        "images_per_cpu_second": round(this.training.recipe.batch_size / min(this.seconds[WARM:])),
        "share": f"1/{protocol.whole / fast.whole:.1f}",
        "top1": round(statistics.fmean(top1), 4) if top1 else None,
    }
    assert FEWER_STEPS * fast.number < protocol.number
