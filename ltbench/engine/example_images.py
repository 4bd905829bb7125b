"""Example images: a figure of the effect of an augmentation or a mix on real images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import torch
from torch import Tensor

from ltbench.engine.augmented_images import reader
from ltbench.engine.dataset_arrays import prepare
from ltbench.engine.segment import Reading
from ltbench.engine.stored_images import centre_of
from ltbench.engine.streams import generator
from ltbench.errors import UsageError
from ltbench.stages import Adaptive, Augment, Dataset, Mix, Moment, Partner, Technique, Told

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS, DRAWS = 8, 3
_HEAD_COUNT, _FACTOR = 500, 100.0
"""Images of the largest class, and imbalance factor, of the class counts that a technique is told."""
_MIDDLE = Moment(epoch=5, epochs=10.0, step=50, steps=100)


def examples(technique: Technique, dataset: Dataset, root: Path, seed: int = 0) -> Figure:
    """Return a figure: a row of test images of different classes, then rows of transformed ones.

    Blended images are titled with both classes and their shares; the class counts are those of a long tail with
    imbalance factor 100. Raises `UsageError` for a technique of another stage.
    """
    if not isinstance(technique, (Augment, Mix)):
        raise UsageError(f"{technique.stage} '{technique.name}' changes no images", fix="name an augmentation or a mix")
    info, images = dataset.info(root), prepare(dataset, root)
    test_labels = torch.from_numpy(images.test_labels)
    classes = torch.unique(test_labels)
    # Classes evenly spaced from head to tail, so that a mix that treats tail classes differently meets some.
    shown = classes[torch.linspace(0, len(classes) - 1, min(COLUMNS, len(classes))).round().long()]
    indices = torch.stack([(test_labels == label).nonzero()[0, 0] for label in shown])
    whole, labels = torch.from_numpy(images.test_images[indices.numpy()]), test_labels[indices]
    stored = centre_of(whole, info.size)
    rows: list[tuple[Tensor, list[str]]] = [(stored.float() / 255, [info.classes[label] for label in labels.tolist()])]
    stream = generator(seed, technique.stage)
    told = _told(technique, stored, labels, len(info.classes))
    for _ in range(DRAWS):
        if isinstance(technique, Augment):
            read = reader(whole, Reading(technique), info.size)
            augmented = read(torch.arange(len(labels)), lambda _: told, lambda _: stream)
            rows.append((augmented, [""] * len(labels)))
        else:
            rows.append(_mixed(technique, rows[0][0], told, info.classes, stream))
    return _grid(rows, technique.label)


def _told(technique: Adaptive, stored: Tensor, labels: Tensor, classes: int) -> Told:
    """Return what a technique is told in the middle of a training on a long tail.

    stored: the images shown, uint8. A technique that probes the network gets a nearest-neighbour classifier of them.
    """
    last = max(1, classes - 1)
    counts = torch.tensor([max(1, round(_HEAD_COUNT * _FACTOR ** (-c / last))) for c in range(classes)])
    state = technique.remembers(1, classes, counts, generator(0, "remember"))
    known = torch.full((len(labels), classes), -torch.inf).scatter(1, labels[:, None], 0.0)

    def predict(images: Tensor) -> Tensor:
        distances = torch.cdist(images.flatten(1), stored.flatten(1) / 255)
        return (known - distances[:, :, None]).amax(1)

    for epoch in range(_MIDDLE.epoch if state else 0):
        state = technique.probe(predict, stored, labels, state, _MIDDLE, generator(epoch, "probe"))
    return Told(indices=torch.arange(len(labels)), labels=labels, counts=counts, moment=_MIDDLE, state=state)


def _mixed(
    mix: Mix, images: Tensor, told: Told, classes: tuple[str, ...], stream: torch.Generator
) -> tuple[Tensor, list[str]]:
    if mix.partner:
        order = torch.randperm(len(images), generator=stream)
        told = msgspec.structs.replace(told, partner=Partner(images=images[order], labels=told.labels[order]))
    mixed = mix.blend(images.clone(), told, stream)
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
    for axes_of_row, (images, texts) in zip(grid, rows, strict=True):
        for axes, image, text in zip(axes_of_row, images, texts, strict=True):
            pixels = image.clamp(0, 1).permute(1, 2, 0).numpy()
            axes.imshow(pixels if pixels.shape[2] == 3 else pixels[:, :, 0], cmap="gray", vmin=0, vmax=1)
            axes.set_title(text, fontsize=7, parse_math=False)
            axes.set_axis_off()
    figure.suptitle(f"{title}: original images, then {len(rows) - 1} draws", fontsize=10, parse_math=False)
    return figure
