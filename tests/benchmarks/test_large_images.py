"""Images that do not fit in memory: preparing them, reading batches of them, and the memory of a worker.

`ratio` is measured within one run, with sides in turn. Memory is `VmHWM` of fresh processes, which nearly is the same everywhere.

    pytest tests/benchmarks/test_large_images.py --benchmark-only
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from engine.world import World, fit_job, plain
from PIL import Image
from support import python

from ltbench.engine.batches import Feed
from ltbench.engine.determinism import reproducible, seeded
from ltbench.engine.schedule import moment
from ltbench.engine.stored_images import StoredImages
from ltbench.engine.subset import Subset
from ltbench.engine.training import Training
from ltbench.image_files.image_rows import ImageRows
from ltbench.stages import DatasetInfo
from ltbench_plugins.augments.crop_flip import CropFlip
from ltbench_plugins.augments.no_augment import NoAugment
from ltbench_plugins.augments.random_resized_crop import RandomResizedCrop

CPU = torch.device("cpu")
PHOTOS, ROUNDS, BATCH = 10_000, 3, 64

# --- batches ----------------------------------------------------------------------------------------------------------


def subset_of(images: object, side: int, count: int) -> Subset:
    labels = torch.arange(count) % 10
    info = DatasetInfo(
        classes=tuple("abcdefghij"), train_counts=(count // 10,) * 10, test_counts=(1,) * 10, channels=3, size=side,
        mean=(0.5,) * 3, std=(0.25,) * 3, fingerprint="f" * 16,
    )  # fmt: skip
    none = torch.zeros(0, 3, side, side, dtype=torch.uint8)
    return Subset(
        images=images, labels=labels, counts=labels.bincount(), info=info, test_images=none, held_out_images=none,
        test_labels=labels[:0], held_out_labels=labels[:0],
    )  # fmt: skip


def epoch_of(subset: Subset, augment: object) -> Callable[[], int]:
    """Return a function that reads an epoch of batches, without training."""
    spec = fit_job(plain(augment=augment), recipe={"batch_size": BATCH}).spec
    training = Training(spec, subset, World(RandomResizedCrop, NoAugment), CPU)
    order, feed = training.orders[0], training.feed
    feed.start_segment(order, training.segments[0].reading, None)
    start = moment(training.spans[0], 0, order.batches_per_epoch, restart=False)
    assert isinstance(feed, Feed)
    return lambda: sum(len(feed.next(start).images) for _ in range(order.batches_per_epoch))


def cpu_seconds(run: Callable[[], object]) -> float:
    began = time.process_time()
    run()
    return time.process_time() - began


@pytest.mark.parametrize("augment", [NoAugment(), CropFlip(), RandomResizedCrop()], ids=lambda one: one.name)
@pytest.mark.parametrize(("side", "count"), [(32, 20_000), (224, 1_500)])
@pytest.mark.benchmark(group="batches from a file against batches from memory")
def test_batches_from_a_file(benchmark, tmp_path: Path, side: int, count: int, augment: object) -> None:
    """`ratio`: CPU seconds of an epoch in memory, divided by those from a file in the cache of the system."""
    pixels = np.random.default_rng(0).integers(0, 256, (count, 3, side, side), np.uint8)
    (tmp_path / "pixels").write_bytes(pixels.tobytes())
    stored = StoredImages(ImageRows(tmp_path / "pixels", (3, side, side), np.arange(count)))
    with reproducible(CPU), seeded(0, "benchmark", CPU):
        memory = epoch_of(subset_of(torch.from_numpy(pixels), side, count), augment)
        file = epoch_of(subset_of(stored, side, count), augment)
        memory()
        in_memory, from_file = [], []
        benchmark.pedantic(
            lambda: from_file.append(cpu_seconds(file)), setup=lambda: in_memory.append(cpu_seconds(memory)),
            rounds=ROUNDS, warmup_rounds=1,
        )  # fmt: skip
    benchmark.extra_info |= {
        "images_per_cpu_second": round(count / min(from_file)),
        "in_memory": round(count / min(in_memory)),
        "ratio": round(min(in_memory) / min(from_file), 2),
    }


# --- preparing --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """10,000 JPEG files of 300 x 239 pixels in ten classes."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for number in range(100):
        coarse = Image.fromarray(rng.integers(0, 256, (30, 38, 3), np.uint8)).resize((300, 239))
        noisy = np.asarray(coarse).astype(int) + rng.integers(-12, 13, (239, 300, 3))
        folder = root / "photos" / f"class {number % 10}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / f"{number}.jpg", quality=88)
        content = (folder / f"{number}.jpg").read_bytes()
        for copy in range(1, PHOTOS // 100):
            (folder / f"{number}-{copy}.jpg").write_bytes(content + bytes([copy]))  # what follows the image is ignored
    return root


PREPARE = """
import os, sys, time
from pathlib import Path

from ltbench.image_files.decode import Rules
from ltbench_plugins.datasets import _reading
from ltbench_plugins.datasets._reading import Source, read_or_kept

if __name__ == "__main__":
    root, workers = Path(sys.argv[1]), int(sys.argv[2])
    _reading.cores = lambda: workers
    _reading._MANY = 1 if workers > 1 else 1 << 60
    files = sorted((root / "photos").rglob("*.jpg"))
    began = time.monotonic()
    read = read_or_kept(
        [Source(file) for file in files], [str(file).encode() for file in files],
        Rules(channels=3, size=224, fast=sys.argv[3] == "fast"), root, root / "photos",
    )
    print(len(read.pixels), time.monotonic() - began, sum(os.times()[:4]))
"""
IMAGE_FOLDER = """
import sys, time
from pathlib import Path
import torch
from torchvision import transforms
from torchvision.datasets import ImageFolder

torch.set_num_threads(1)
each = transforms.Compose([transforms.Resize(224, transforms.InterpolationMode.BICUBIC), transforms.CenterCrop(224),
                           transforms.PILToTensor()])
data = ImageFolder(str(Path(sys.argv[1]) / "photos"), each)
began = time.monotonic()
pixels = torch.stack([image for image, _ in data])
print(len(pixels), time.monotonic() - began, time.process_time())
"""


@pytest.mark.benchmark(group="preparing 10,000 photos at 224 pixels")
def test_preparing_photos(benchmark, photos: Path) -> None:
    """Ratios of one process, and of a loop over torchvision's ImageFolder, to two processes.

    Of wall time they need two free cores. `cpu` are those of the CPU seconds of whole processes: on free cores, two processes are
    twice this number times as fast as one.
    """
    seconds: dict[str, float] = {}
    cpu: dict[str, float] = {}

    def run(name: str, code: str, *options: object) -> None:
        shutil.rmtree(photos / "prepared", ignore_errors=True)
        number, took, worked = python(code, photos, *options).stdout.split()
        assert int(number) == PHOTOS
        seconds[name], cpu[name] = float(took), float(worked)

    def rest() -> None:
        run("one", PREPARE, 1, "exact")
        run("one_fast", PREPARE, 1, "fast")
        run("two_fast", PREPARE, 2, "fast")
        run("image_folder", IMAGE_FOLDER)

    benchmark.pedantic(lambda: run("two", PREPARE, 2, "exact"), setup=rest, rounds=1)
    benchmark.extra_info |= {
        "images_per_second": {name: round(PHOTOS / took) for name, took in seconds.items()},
        "images_per_cpu_second": {name: round(PHOTOS / took) for name, took in cpu.items()},
        **{
            f"{kind}{name}_to_two{fast}": round(taken[name + of] / taken["two" + fast], 2)
            for kind, taken in (("", seconds), ("cpu_", cpu))
            for fast in ("", "_fast")
            for name, of in (("one", fast), ("image_folder", ""))
        },
    }


# --- memory -----------------------------------------------------------------------------------------------------------

WORKER = """
import json, sys
from pathlib import Path

import numpy as np
from engine.world import context_of, fit_job, plain
from ltbench.core.spec import Job, identity
from ltbench.engine.fit import fit
from ltbench.engine.predict import predict
from ltbench.image_files.image_rows import ImageRows
from ltbench.image_files.pixel_file import Chunk, PixelFile
from ltbench.stages import Dataset, DatasetInfo, Images
from ltbench_plugins.augments.random_resized_crop import RandomResizedCrop
from ltbench_plugins.models.efficientnet_lite0 import EfficientNetLite0

root, count = Path(sys.argv[1]), int(sys.argv[2])
SIDE = 256


class Large(Dataset):
    name = "large"

    def info(self, root):
        return DatasetInfo(classes=tuple("abcdefghij"), train_counts=(count // 10,) * 10, test_counts=(20,) * 10, channels=3,
                           size=224, stored=SIDE, mean=(0.5,) * 3, std=(0.25,) * 3, fingerprint="f" * 16)

    def load(self, root):
        file = PixelFile(root / "prepared" / "files-large", (3, SIDE, SIDE))
        with file.adding():
            with file.reserved(count + 200):
                names = [str(number).encode() for number in range(count + 200)]
                file.add(Chunk(start=0, versions=names, readings=[], sums=[], digest=""))
            file.stamp()
        train, test = np.arange(count), np.arange(count, count + 200)
        return Images(
            train_images=ImageRows(file.pixels, file.shape, train), train_labels=train % 10,
            test_images=ImageRows(file.pixels, file.shape, test), test_labels=test % 10,
        )


def spec_of(technique):
    return {"name": technique.name, "distribution": "test", "revision": 1, "params": technique.params}


context = context_of(root / str(count), Large, EfficientNetLite0, RandomResizedCrop)
context.data_root.mkdir(parents=True)
made = fit_job(plain(augment=RandomResizedCrop()), recipe={"batch_size": 32, "epochs": None, "steps": 3}, factor=1.0, model=EfficientNetLite0()).spec
made = made | {"data": made["data"] | {"dataset": spec_of(Large()), "fingerprint": "f" * 16}}
job = Job(key=identity(made), kind="fit", spec=made)
fit(job, context)
view = {"kind": "predict", "protocol": made["protocol"], "fit": job.key, "split": "test", "view": "identity"}
predict(Job(key=identity(view), kind="predict", spec=view, parents=(job.key,)), context)
print(json.dumps(next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))))
"""


@pytest.mark.benchmark(group="memory of a worker at 224 pixels")
def test_memory_does_not_grow_with_the_number_of_images(benchmark, tmp_path: Path) -> None:
    """`above_mib`: what a training and a prediction with 20,000 stored images take above the same with 320."""
    few = json.loads(python(WORKER, tmp_path, 320).stdout) / 1024
    many = benchmark.pedantic(lambda: json.loads(python(WORKER, tmp_path, 20_000).stdout) / 1024, rounds=1)
    benchmark.extra_info |= {"few_mib": round(few), "many_mib": round(many), "above_mib": round(many - few)}
    assert many - few < 1536
