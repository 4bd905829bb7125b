"""Check on a GPU what tests can only simulate, and measure what it brings. Takes at most eight minutes.

    python scripts/gpu_check.py [--device cuda:0] [--seconds 420] [--markdown FILE]

Everything goes through the code that trains, on random images of the shape of CIFAR-10-LT at factor 100. With `--device cpu` it runs
on the processor, to see that the script works; its numbers then say nothing about a GPU. Exit code 1 if a check fails.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
import types
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from ltbench import Dataset, DatasetInfo, Images, Model, hookimpl
from ltbench.core.devices import CPU
from ltbench.core.plugins import PluginSource
from ltbench.core.spec import Job
from ltbench.engine.determinism import random_state, reproducible, seeded
from ltbench.engine.environment import environment
from ltbench.engine.fit import training_subset
from ltbench.engine.graphed_network import GraphedNetwork
from ltbench.engine.network_stack import NetworkStack
from ltbench.engine.schedule import Span
from ltbench.engine.training import Training
from ltbench.executor import Context, Terms
from ltbench.executors.inline import Inline
from ltbench.planning.parts import make_plan
from ltbench.registry.registry import Registry
from ltbench.running.runner import run
from ltbench.store.store import Store
from ltbench.suite.suite import Suite, changed, find_suite

CLASSES, EACH, FEATURES, HEADS = 10, 5000, 1280, 64
STACKS = (2, 4, 8)
TRAININGS = 180
"""Ten methods, three imbalance factors, three seeds, two data sets."""
PASSES = 5
"""Times that the outputs of layers pass the memory in a step: written and read forward; read again, and their gradient written
and read, backward."""


class Noise(Dataset, frozen=True):
    """Random images of the shape and number of CIFAR-10."""

    name = "noise"

    def info(self, root: Path) -> DatasetInfo:
        """Return its description."""
        return DatasetInfo(
            classes=tuple("abcdefghij"), train_counts=(EACH,) * CLASSES, test_counts=(10,) * CLASSES, channels=3,
            size=32, mean=(0.5,) * 3, std=(0.25,) * 3, fingerprint="noise-of-gpu-check",
        )  # fmt: skip

    def load(self, root: Path) -> Images:
        """Return its arrays."""
        draw = np.random.default_rng(0)
        labels = {"train": np.arange(CLASSES).repeat(EACH), "test": np.arange(CLASSES).repeat(10)}
        parts = {
            f"{split}_images": draw.integers(0, 256, (len(of), 3, 32, 32), dtype=np.uint8)
            for split, of in labels.items()
        }
        return Images(**parts, train_labels=labels["train"], test_labels=labels["test"])


class Wide(Model, frozen=True):
    """A fixed convolution with as many features as EfficientNet-Lite0, and a linear classifier."""

    name = "wide"

    @property
    def is_pretrained(self) -> bool:
        """Whether it starts from given weights: they do not depend on a seed."""
        return True

    @property
    def is_frozen(self) -> bool:
        """Whether its backbone does not learn."""
        return True

    def build(self, channels: int, size: int, classes: int) -> nn.Module:
        """Return the network."""
        return _WideNetwork(channels, classes)


class _WideNetwork(nn.Module):
    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.conv = nn.Conv2d(channels, FEATURES, 8, stride=8)
        self.head = nn.Linear(FEATURES, classes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.conv(images).relu().mean((2, 3)))
        return logits

    def get_classifier(self) -> nn.Module:
        return self.head


class Row(msgspec.Struct, frozen=True):
    """A line of the table."""

    what: str
    found: str
    passed: bool | None = None
    """None for a measurement."""

    def __str__(self) -> str:
        return (
            f"| {self.what} | {self.found} | {'' if self.passed is None else 'ok' if self.passed else '**FAILED**'} |"
        )


class Bench:
    """The trainings of the checks."""

    def __init__(self, device: torch.device, folder: Path, steps: int, batch_size: int | None) -> None:
        self.device, self.steps = device, steps
        self.on_gpu = device.type == "cuda"
        self.registry = Registry.load()
        plugin = types.ModuleType("gpu_check")
        plugin.ltbench_datasets = hookimpl(specname="ltbench_datasets")(lambda: [Noise])  # type: ignore[attr-defined]
        plugin.ltbench_models = hookimpl(specname="ltbench_models")(lambda: [Wide])  # type: ignore[attr-defined]
        self.registry.add(PluginSource(plugin="gpu_check", distribution="gpu_check", version="0"), lambda: plugin)
        devices = (str(device),) if self.on_gpu else CPU
        self.context = Context(store=Store(folder / "store"), registry=self.registry, data_root=folder, devices=devices)
        suite = changed(
            find_suite("cifar10-lt-ldam", self.registry), name="gpu-check", datasets=["noise"], imbalance_factors=[100],
            combinations=[["balanced_softmax"]], techniques=[], seeds=list(range(max(STACKS))), figures=[], reported=[],
        )  # fmt: skip
        recipe = suite.recipe if batch_size is None else msgspec.structs.replace(suite.recipe, batch_size=batch_size)
        self.suite = msgspec.structs.replace(suite, recipe=recipe)
        self.jobs = self.fits(self.suite)

    def fits(self, suite: Suite) -> list[Job]:
        """Return the fits of a suite with its loss, one for each seed."""
        plan = make_plan(suite, self.registry, self.context.data_root)
        return [job for job in plan.jobs.values() if job.kind == "fit" and "balanced_softmax" in str(job.spec)]

    def training(self, job: Job, device: torch.device | None = None, *, graphs: bool = True) -> Training:
        """Return a training before its first step."""
        where = device or self.device
        with seeded(job.spec["seed"], "dropout", where):
            training = Training(job.spec, training_subset(job.spec, self.context), self.registry, where)
        training.graphs = graphs and where.type == "cuda"
        return training

    def wait(self) -> None:
        """Wait for the device."""
        if self.on_gpu:
            torch.cuda.synchronize(self.device)

    def seconds_per_step(self, number: int, *, graphs: bool, precision: str = "fp32") -> float:
        """Return the time of a step of this number of networks at once, after some that warm up."""
        recipe = msgspec.structs.replace(self.suite.recipe, precision=precision)
        jobs = self.fits(msgspec.structs.replace(self.suite, recipe=recipe))[:number]
        trainings = {job.key: self.training(job, graphs=graphs) for job in jobs}
        warm = max(self.steps // 4, 1)
        times: list[float] = []

        def note(training: Training) -> None:
            if training is first and training.steps in (warm, warm + self.steps):
                self.wait()
                times.append(time.perf_counter())

        first = next(iter(trainings.values()))
        for training in trainings.values():
            run_until(training, warm + self.steps + 1)
        if number == 1:
            first.run(note)
        else:
            random = dict.fromkeys(trainings, random_state(self.device))
            NetworkStack(trainings, random, dict.fromkeys(trainings, note)).run()
        return (times[1] - times[0]) / self.steps


def run_until(training: Training, last: int) -> None:
    """Make a training of one segment stop after a step, at the rates of the whole one."""
    (span,) = training.spans
    training.spans = [Span(first=span.first, last=last, total=span.total)]


def speeds(bench: Bench) -> Iterator[Row]:
    """Measure trainings of ResNet-32: alone, as graphs, several at once."""
    batch = bench.suite.recipe.batch_size
    training = bench.training(bench.jobs[0])
    steps = bench.suite.recipe.epochs or 0
    whole = steps * training.orders[0].batches_per_epoch
    bytes_per_step = PASSES * batch * _output_bytes(training)
    bandwidth = _bandwidth(bench)
    yield Row("memory bandwidth, copying 1 GiB", f"{bandwidth / 1e9:,.0f} GB/s")
    best = 0.0
    for number, graphs, precision in (
        (1, False, "fp32"), (1, True, "fp32"), (1, True, "bf16"),
        *((size, True, "fp32") for size in STACKS), (STACKS[-1], False, "fp32"), (STACKS[-1], True, "bf16"),
    ):  # fmt: skip
        seconds = bench.seconds_per_step(number, graphs=graphs, precision=precision) / number
        halved = 2 if precision == "bf16" else 1
        share = bytes_per_step / halved / seconds / bandwidth
        how = f"{number} at once, {'CUDA graphs' if graphs else 'eager'}, {precision}"
        yield Row(
            f"ResNet-32, {how}",
            f"{batch / seconds:,.0f} images/s; {share:.0%} of what the bandwidth allows; "
            f"200 epochs of CIFAR-10-LT ({whole:,} steps): {whole * seconds:,.1f} s",
        )
        if precision == "fp32" and graphs and number == STACKS[-1]:
            best = whole * seconds
    yield Row(
        f"{TRAININGS} trainings, extrapolated from {STACKS[-1]} at once in fp32",
        f"{TRAININGS * best / 60:,.1f} minutes",
    )


def _output_bytes(training: Training) -> int:
    """Return the bytes of the outputs of all layers for an image in fp32."""
    found = 0

    def count(_module: nn.Module, _given: object, out: object) -> None:
        nonlocal found
        if isinstance(out, Tensor):
            found += 4 * out[0].numel()

    leaves = [module for module in training.network.modules() if not list(module.children())]
    handles = [module.register_forward_hook(count) for module in leaves]
    training.network.eval()
    with torch.no_grad():
        training.network(torch.zeros(1, 3, 32, 32, device=training.device))
    for handle in handles:
        handle.remove()
    return found


def _bandwidth(bench: Bench) -> float:
    """Return the bytes per second that a large copy reads and writes."""
    given = torch.zeros((1 << 30 if bench.on_gpu else 1 << 27) // 4, device=bench.device)
    target = torch.empty_like(given)
    times = []
    for _ in range(6):
        bench.wait()
        began = time.perf_counter()
        target.copy_(given)
        bench.wait()
        times.append(time.perf_counter() - began)
    return 2 * 4 * given.numel() / min(times[1:])


def agreement(bench: Bench) -> Iterator[Row]:
    """Compare with the processor, on images that are not augmented: a GPU draws other crops."""
    suite = msgspec.structs.replace(
        bench.suite, recipe=msgspec.structs.replace(bench.suite.recipe, augment="no_augment")
    )
    job = bench.fits(suite)[0]
    steps = min(bench.steps, 20)
    ran = []
    for device, graphs in ((torch.device("cpu"), False), (bench.device, False), (bench.device, True)):
        training = bench.training(job, device, graphs=graphs)
        run_until(training, steps)
        with seeded(job.spec["seed"], "dropout", device):
            training.run()
        ran.append(training)
    of_cpu, eager, graphed = ({name: value.cpu() for name, value in one.network.state_dict().items()} for one in ran)
    furthest = max(float((of_cpu[name] - eager[name]).abs().max()) for name in of_cpu)
    losses = [one.curve.entries()["loss"][0] for one in ran]
    yield Row(
        f"weights after {steps} steps, GPU against CPU",
        f"furthest apart {furthest:.2g}; loss {losses[1]:.5f} and {losses[0]:.5f}",
        abs(losses[0] - losses[1]) < 0.01,
    )
    apart = max(float((graphed[name].float() - eager[name].float()).abs().max()) for name in eager)
    yield Row(f"the same, CUDA graphs against eager, {steps} steps", f"furthest apart {apart:.2g}", apart < 1e-3)
    if bench.on_gpu:
        graph = GraphedNetwork(bench.training(job).network.train(), eager_precision)
        graph(torch.zeros(bench.suite.recipe.batch_size, 3, 32, 32, device=bench.device))
        yield Row("ResNet-32 can be captured as a CUDA graph", "yes" if graph.is_captured else "no", graph.is_captured)


def eager_precision() -> torch.autocast:
    """Return a context without conversion."""
    return torch.autocast("cuda", enabled=False, cache_enabled=False)


def stacks(bench: Bench) -> Iterator[Row]:
    """Compare trainings in a stack with the same ones alone."""
    steps = min(bench.steps, 20)
    jobs = bench.jobs[:2]
    together = {job.key: bench.training(job) for job in jobs}
    apart = {job.key: bench.training(job) for job in jobs}
    for training in (*together.values(), *apart.values()):
        run_until(training, steps)
    random = dict.fromkeys(together, random_state(bench.device))
    failed = NetworkStack(together, random, dict.fromkeys(together, lambda _training: None)).run()
    for training in apart.values():
        training.run()
    losses = [[one.curve.entries()["loss"][0] for one in group.values()] for group in (together, apart)]
    far = max(abs(one - other) for one, other in zip(*losses, strict=True))
    yield Row(
        f"losses of {steps} steps in a stack of two, against alone",
        f"furthest apart {far:.2g}",
        not failed and far < 0.01,
    )


def resuming(bench: Bench) -> Iterator[Row]:
    """Interrupt a training, go on in a new one, and compare with one in one go, to the last bit."""
    job, half = bench.jobs[0], max(bench.steps // 2, 1)
    whole, first, second = (bench.training(job) for _ in range(3))
    run_until(whole, 2 * half)
    run_until(first, half)
    with seeded(job.spec["seed"], "dropout", bench.device):
        whole.run()
    with seeded(job.spec["seed"], "dropout", bench.device):
        first.run()
        state = first.state()
        second.restore(*state)
        run_until(second, 2 * half)
        second.run()
    one, other = whole.network.state_dict(), second.network.state_dict()
    same = all(torch.equal(one[name], other[name]) for name in one)
    yield Row(f"resumed after {half} of {2 * half} steps", "the same bits" if same else "other bits", same)
    again = bench.training(job)
    run_until(again, 2 * half)
    with seeded(job.spec["seed"], "dropout", bench.device):
        again.run()
    same = all(torch.equal(value, one[name]) for name, value in again.network.state_dict().items())
    yield Row(f"{2 * half} steps once more", "the same bits" if same else "other bits", same)


def heads(bench: Bench, number: int) -> Iterator[Row]:
    """Train classifiers on features, as `ltbench run` does."""
    rows = [[f"label_smooth[eps={0.001 * (place + 1):.3f}]"] for place in range(number)]
    probe = find_suite("probe", bench.registry)
    suite = changed(
        probe, name="heads", datasets=["noise"], imbalance_factors=[100], models=["wide"], combinations=rows, techniques=[],
        seeds=[0], figures=[],
    )  # fmt: skip
    plan = make_plan(suite, bench.registry, bench.context.data_root)
    began = time.perf_counter()
    summary = run(plan, bench.context, Inline(bench.context, Terms()))
    seconds = time.perf_counter() - began
    yield Row(
        f"{len(plan.cells)} classifiers on {FEATURES:,} features, with all that a run does",
        f"{seconds:,.1f} s, {60 * len(plan.cells) / seconds:,.0f} cells a minute",
        not summary.failed,
    )


def main(given: Sequence[str] | None = None) -> int:
    """Run the checks and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--seconds", type=float, default=420, help="measure nothing more after this time")
    parser.add_argument("--steps", type=int, default=200, help="steps that are timed")
    parser.add_argument("--batch-size", type=int, help="instead of that of the recipe, for a processor")
    parser.add_argument("--heads", type=int, default=HEADS)
    parser.add_argument("--markdown", type=Path, help="also write the table to this file")
    args = parser.parse_args(given)
    if args.device != "cpu" and not torch.cuda.is_available():
        print("torch sees no GPU; --device cpu only shows that the script works", file=sys.stderr)
        return 2
    device = torch.device(args.device)
    began = time.perf_counter()
    lines = ["| | found | |", "|---|---|---|"]
    passed = True
    with tempfile.TemporaryDirectory() as folder, reproducible(device):
        facts = environment(device)
        lines.insert(0, f"{facts['device']}, torch {facts['torch']}, commit {facts['commit']}\n")
        print("\n".join(lines), flush=True)
        bench = Bench(device, Path(folder), args.steps, args.batch_size)
        checks: list[Callable[[], Iterator[Row]]] = [
            lambda: agreement(bench), lambda: stacks(bench), lambda: resuming(bench), lambda: speeds(bench),
            lambda: heads(bench, args.heads),
        ]  # fmt: skip
        for row in itertools.chain.from_iterable(map(_guarded, checks)):
            lines.append(str(row))
            print(row, flush=True)
            passed = passed and row.passed is not False
            if time.perf_counter() - began > args.seconds:
                print("out of time; the rest was not measured", file=sys.stderr)
                break
    if args.markdown is not None:
        args.markdown.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0 if passed else 1


def _guarded(check: Callable[[], Iterator[Row]]) -> Iterator[Row]:
    """Yield the rows of a check; one that raises fails, and the others run."""
    try:
        yield from check()
    except Exception as error:  # noqa: BLE001 - whatever goes wrong on a GPU is what this is for
        text = " ".join(str(error).split())
        yield Row(f"{type(error).__name__}", text[:300].replace("|", "/"), passed=False)


if __name__ == "__main__":
    sys.exit(main())
