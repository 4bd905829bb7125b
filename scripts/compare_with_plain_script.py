"""Compare `ltbench recommend` with a plain script on the same photos, and write the table of docs/own-images.md.

    python scripts/compare_with_plain_script.py [--budget TIME] [--draws N] [--only WORD]

The plain script is what people write: ImageFolder of torchvision, features of a network with ImageNet weights, and
LogisticRegression(class_weight="balanced") of scikit-learn. Network, weights, size and photos are the same. Both are tested on 50
other photos of each class. Photos are drawn from CIFAR-10, CIFAR-100 and histopathology patches, long-tailed, several times:
each draw has other photos, and other classes are frequent.

--only runs and prints the sets whose name has a word, and writes nothing.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ltbench.core.folders import data_root
from ltbench.core.generated_files import read_text, splice
from ltbench.trained_model.model import load_model

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "own-images.md"
MARK = "plain-script"
SIZE = 96
"""Side in pixels to which photos are resized."""
TESTED = 50
"""Test photos of each class."""
RESAMPLES = 2000
Labels = npt.NDArray[np.int64]


class Set(NamedTuple):
    """Photos of a data set."""

    dataset: str
    classes: int
    largest: int
    factor: float

    @property
    def name(self) -> str:
        return (
            f"{self.dataset}, {self.classes} classes, {self.largest} to {round(self.largest / self.factor)} photos each"
        )


SETS = [Set("cifar10", 10, 200, 50), Set("cifar100", 30, 100, 20), Set("breast_histopathology", 2, 400, 20)]


class Compared(NamedTuple):
    """Balanced accuracy of both, and how long they took."""

    plain: float
    recommended: float
    low: float
    high: float
    rows: tuple[str, ...]
    plain_seconds: float
    seconds: float


def write_photos(what: Set, folder: Path, draw: int) -> tuple[Path, Path]:
    """Write training and test photos into folders of classes. Classes are frequent in a random order."""
    from PIL import Image

    from ltbench.registry.registry import Registry
    from ltbench.stages import Dataset

    dataset = Registry.load().parse(what.dataset, Dataset.stage)
    assert isinstance(dataset, Dataset)
    images, info = dataset.load(data_root()), dataset.info(data_root())
    rng = np.random.default_rng(draw)
    for place, label in enumerate(rng.permutation(len(info.classes))[: what.classes].tolist()):
        count = round(what.largest * what.factor ** (-place / (what.classes - 1)))
        for split, number, pixels, labels in (
            ("train", count, images.train_images, images.train_labels),
            ("test", TESTED, images.test_images, images.test_labels),
        ):
            into = folder / split / info.classes[label].replace("/", "_")
            into.mkdir(parents=True)
            for one in rng.choice(np.flatnonzero(labels == label), number, replace=False).tolist():
                Image.fromarray(np.ascontiguousarray(np.moveaxis(pixels[one], 0, -1))).save(into / f"{one}.png")
    return folder / "train", folder / "test"


def plain_script(train: Path, test: Path) -> tuple[Labels, Labels]:
    """Return the decisions and the labels of the test photos."""
    import torch
    from sklearn.linear_model import LogisticRegression
    from torchvision import datasets, transforms

    from ltbench_plugins.models.efficientnet_lite0 import EfficientNetLite0

    network: Any = EfficientNetLite0(pretrained=True).build(3, SIZE, 2).eval()
    network.reset_classifier(0)
    steps = [
        transforms.Resize(SIZE),
        transforms.CenterCrop(SIZE),
        transforms.ToTensor(),
        transforms.Normalize([0.5] * 3, [0.5] * 3),
    ]
    parts = []
    for folder in (train, test):
        photos = datasets.ImageFolder(str(folder), transforms.Compose(steps))
        loader = torch.utils.data.DataLoader(photos, batch_size=64)
        with torch.inference_mode():
            features = torch.cat([network(batch) for batch, _ in loader]).numpy()
        parts.append((features, np.array(photos.targets)))
    (features, labels), (tested, truth) = parts
    fitted = LogisticRegression(class_weight="balanced", max_iter=1000).fit(features, labels)
    return fitted.predict(tested), truth


def recommended(train: Path, test: Path, budget: str, work: Path) -> tuple[Labels, str]:
    """Return the decisions for the test photos, in the order of the plain script, and what was recommended."""
    places = [f"--store={work / 'store'}", f"--leaderboards={work / 'boards'}"]
    command = [
        "recommend",
        train,
        "--test",
        test,
        "--size",
        SIZE,
        "--budget",
        budget,
        "--no-fine-tune",
        "--name",
        "photos",
        *places,
    ]
    done = subprocess.run(
        [sys.executable, "-m", "ltbench", *map(str, command)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    model = load_model(work / "boards" / "local" / "photos" / "model")
    files = [file for folder in sorted(test.iterdir()) for file in sorted(folder.iterdir())]
    row = next(line.removeprefix("use: ") for line in done.stdout.splitlines() if line.startswith("use: "))
    return model(files).probabilities.argmax(1), row


def compare(what: Set, budget: str, draws: int = 1) -> Compared:
    """Run both on the same photos; the interval holds for photos drawn anew from the classes of these draws."""
    hits, rows, accuracies = [], [], []
    seconds = np.zeros(2)
    for draw in range(draws):
        with tempfile.TemporaryDirectory() as place:
            train, test = write_photos(what, Path(place) / "photos", draw)
            began = time.perf_counter()
            plain, truth = plain_script(train, test)
            between = time.perf_counter()
            found, row = recommended(train, test, budget, Path(place))
            seconds += between - began, time.perf_counter() - between
        # As many test photos of each class, so balanced accuracy is the share of hits.
        hits.append(((found == truth).astype(float) - (plain == truth)).reshape(-1, TESTED))
        accuracies.append(((plain == truth).mean(), (found == truth).mean()))
        rows.append(row)
    rng = np.random.default_rng(0)
    by_class = np.concatenate(hits)
    drawn = [
        np.take_along_axis(by_class, rng.integers(TESTED, size=by_class.shape), 1).mean() for _ in range(RESAMPLES)
    ]
    low, high = np.quantile(drawn, (0.025, 0.975))
    before, after = np.mean(accuracies, axis=0)
    return Compared(float(before), float(after), float(low), float(high), tuple(rows), *seconds / draws)


def table(compared: Sequence[tuple[Set, Compared]]) -> Iterator[str]:
    """Yield the lines of the table."""
    yield "| photos | plain script | recommended | difference | what was recommended |"
    yield "|---|--:|--:|--:|---|"
    for what, one in compared:
        gain = f"{100 * (one.recommended - one.plain):+.1f} [{100 * one.low:+.1f}, {100 * one.high:+.1f}]"
        rows = "<br>".join(one.rows)
        yield f"| {what.name} | {100 * one.plain:.1f} | {100 * one.recommended:.1f} | {gain} | {rows} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", default="1m")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--only", default="")
    asked = parser.parse_args()
    compared = []
    for what in SETS:
        if asked.only in what.name:
            compared.append((what, compare(what, asked.budget, asked.draws)))
            print(*table(compared[-1:]), sep="\n", flush=True)
            print(f"{compared[-1][1].plain_seconds:.0f} s, {compared[-1][1].seconds:.0f} s a draw", file=sys.stderr)
    if not asked.only:
        PAGE.write_text(splice(read_text(PAGE), MARK, lambda _: list(table(compared)), PAGE.name), encoding="utf-8")


if __name__ == "__main__":
    main()
