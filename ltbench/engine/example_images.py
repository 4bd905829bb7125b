"""What an augmentation or a mix does to real images, as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ltbench.engine.dataset_arrays import prepare
from ltbench.engine.epoch_order import generator
from ltbench.errors import UsageError
from ltbench.stages import Augment, Dataset, Mix, Technique

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS, DRAWS = 8, 3
_FACTOR = 100.0


def examples(technique: Technique, dataset: Dataset, root: Path, seed: int = 0) -> Figure:
    """Return a figure: a row of test images of different classes, then rows of what is made of them.

    A mix is shown with the labels and shares that it hands over, under the class counts of a long tail of imbalance
    factor 100. Raises `UsageError` for a technique of another stage.
    """
    if not isinstance(technique, (Augment, Mix)):
        raise UsageError(f"{technique.stage} '{technique.name}' changes no images", fix="name an augmentation or a mix")
    info, images = dataset.info(root), prepare(dataset, root)
    labels = torch.from_numpy(images.test_labels)
    classes = torch.unique(labels)
    # Evenly from head to tail, so that a mix that looks for tail classes finds some.
    picked = classes[torch.linspace(0, len(classes) - 1, min(COLUMNS, len(classes))).round().long()]
    places = torch.stack([(labels == label).nonzero()[0, 0] for label in picked])
    stored, own = torch.from_numpy(images.test_images)[places], labels[places]
    rows: list[tuple[Tensor, list[str]]] = [(stored.float() / 255, [info.classes[label] for label in own.tolist()])]
    stream = generator(seed, technique.stage)
    for _ in range(DRAWS):
        if isinstance(technique, Augment):
            made = technique.batch(technique.prepare(stored), torch.arange(len(own)), stream)
            rows.append((made, [""] * len(own)))
        else:
            rows.append(_mixed(technique, rows[0][0], own, info.classes, stream))
    return _grid(rows, technique.label)


def _mixed(
    mix: Mix, images: Tensor, own: Tensor, classes: tuple[str, ...], stream: torch.Generator
) -> tuple[Tensor, list[str]]:
    many = len(classes)
    counts = torch.tensor([max(1, round(500 * _FACTOR ** (-c / max(1, many - 1)))) for c in range(many)])
    mixed = mix.mix(images.clone(), own, counts, stream)
    pairs = zip(mixed.labels_a.tolist(), mixed.labels_b.tolist(), mixed.lam.tolist(), strict=True)
    texts = [
        classes[a] if a == b or lam == 1 else f"{lam:.2f} {classes[a]}\n{1 - lam:.2f} {classes[b]}"
        for a, b, lam in pairs
    ]
    return mixed.images, texts


def _grid(rows: list[tuple[Tensor, list[str]]], title: str) -> Figure:
    from matplotlib.figure import Figure

    columns = len(rows[0][0])
    figure = Figure(figsize=(1.15 * columns, 1.4 * len(rows) + 0.4), dpi=144, layout="constrained")
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for line, (images, texts) in zip(grid, rows, strict=True):
        for axes, image, text in zip(line, images, texts, strict=True):
            pixels = image.clamp(0, 1).permute(1, 2, 0).numpy()
            axes.imshow(pixels if pixels.shape[2] == 3 else pixels[:, :, 0], cmap="gray", vmin=0, vmax=1)
            axes.set_title(text, fontsize=7, parse_math=False)
            axes.set_axis_off()
    figure.suptitle(f"{title}: images as they are, then {len(rows) - 1} draws", fontsize=10, parse_math=False)
    return figure
