"""The folder of a trained model, and the facts in it.

    model.safetensors       weights; of several members model-0.safetensors, model-1.safetensors ...
    model.json              everything else that a prediction needs, as `Description`
    posthoc.safetensors     what a posthoc was fitted to or needs to know, if there is one
    model.pt2, model.onnx   the whole model as a program, where it is asked for or nothing else loads it
    README.md               the model card
    digest.json             size and SHA-256 of each of these files

Nothing in it is a pickle.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec

from ltbench.core import checksums
from ltbench.core.spec import Spec
from ltbench.errors import DataError
from ltbench.image_files.decode import Rules
from ltbench.stages import DatasetInfo, TimmNetwork

FORMAT: Final = 1
KEY: Final = "model"
"""The key of the digests."""
FACTS, CARD, STATES = "model.json", "README.md", "posthoc.safetensors"
_AGAIN = "copy the whole folder again, or export the model again"


class Adjustment(msgspec.Struct, frozen=True, kw_only=True):
    """What a posthoc does to logits, where it is this: `logits * scale + shift`."""

    scale: tuple[float, ...]
    """One number per class."""
    shift: tuple[float, ...]


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One network of a model."""

    weights: str
    """The name of its file."""
    prefix: str
    """What ltbench writes before the names in that file, which are those of timm where it builds the network."""
    fit: str
    """The key of its training."""
    spec: Spec
    """The spec of its training."""
    counts: tuple[int, ...]
    """Training images of each class."""
    mean: tuple[float, ...]
    """Of each channel, for pixels in [0, 1]; images are normalised with it and `deviation`."""
    deviation: tuple[float, ...]
    timm: TimmNetwork | None
    """How timm builds the network; None if it cannot."""
    states: list[list[Any]]
    """What the posthoc was fitted to, for each view and branch; `{"array": name}` is in posthoc.safetensors."""
    adjustments: list[list[Adjustment | None]]
    """What the posthoc does, for each view and branch; None where it is no multiplication and addition."""
    branch_weights: tuple[float, ...] | None
    """Weights of the branches that replace their own rule of merging."""


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """A file with the whole model as a program: images uint8 [N, channels, size, size] -> probabilities float32 [N, C]."""

    file: str
    largest_difference: float
    """To the probabilities of `ltbench predict`, on some test images."""


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about a trained model but its weights."""

    format: int = FORMAT
    ltbench: str
    """The version that wrote it."""
    cell: str
    label: str
    """The combination of techniques."""
    classes: tuple[str, ...]
    """In the order of the logits."""
    counts: tuple[int, ...]
    """Training images of each class, before bags are drawn."""
    reading: Rules
    """How an image file becomes pixels: upright, opaque, cropped to the central square, resized by bicubic interpolation."""
    dataset: Spec
    info: DatasetInfo
    """Of the data set; its report is left out."""
    view: Spec
    views: tuple[str, ...]
    view_rule: str
    """How the logits of views merge: `softmax_mean`; empty for another rule, that of the technique `view`."""
    posthoc: Spec | None
    ensemble: Spec
    ensemble_rule: str
    """How the probabilities of members merge: `mean`, `product`, `geometric_mean`; empty for that of `ensemble`."""
    members: list[Member]
    temperature: float | None
    """By which the logarithms of probabilities are divided to calibrate them; None without held-out images."""
    checked_images: int
    """Test images that were classified again to check the export."""
    largest_difference: float | None
    """Of their logits to those that the metrics were computed from; None if these are no longer stored."""
    forms: list[Form]
    metrics: dict[str, float | None]
    """Of this model on the test images, as fractions where they are."""
    runs: dict[str, dict[str, float | int | None]]
    """Over the seeds of the same row: metric -> mean, half (of the 95 % interval) and n."""
    setting: Spec
    recipe: Spec
    combination: dict[str, str | None]
    plugins: list[Spec]
    licences: dict[str, str]
    """Of `images` and `backbone`; empty where unknown or none."""
    notes: list[str]

    @property
    def single(self) -> Member | None:
        """The only network, if it alone makes the probabilities: no other view, no branches."""
        return self.members[0] if len(self.members) == 1 and self.views == ("identity",) else None

    @property
    def baked(self) -> bool:
        """Whether what the posthoc does is a multiplication and addition everywhere."""
        return all(one is not None for member in self.members for view in member.adjustments for one in view)


def read(folder: Path) -> Description:
    """Read the facts of a model. Raises `DataError` if the folder is none, or its facts are damaged."""
    if not (folder / FACTS).is_file():
        raise DataError(
            f"{folder} is not a trained model",
            why=f"it has no {FACTS}" if folder.is_dir() else "there is no such folder",
            fix="ltbench export-model CELL FOLDER makes one",
        )
    content = content_of(folder, FACTS)
    try:
        number = msgspec.json.decode(content, type=_Format).format
        if number > FORMAT:
            raise DataError(
                f"{folder} has format {number}, but this version of ltbench reads formats up to {FORMAT}",
                fix="upgrade ltbench",
            )
        return msgspec.json.decode(content, type=Description)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DataError(f"{folder / FACTS} is not that of a trained model", why=str(error), fix=_AGAIN) from None


class _Format(msgspec.Struct):
    format: int


def content_of(folder: Path, name: str) -> bytes:
    """Return the content of a file of a model. Raises `DataError` if it does not match its digest."""
    content = checksums.read_checked(folder, KEY, name)
    if content is None:
        why = f"{name} is missing" if not (folder / name).exists() else f"{name} does not match {checksums.NAME}"
        raise DataError(f"the trained model {folder} is damaged", why=why, fix=_AGAIN)
    return content
