"""The stages of a long-tailed classifier: one base class for the techniques of each.

A technique is a small frozen class whose fields are its hyper-parameters. Its methods are pure: what they need is
handed in, randomness included, and what they make is returned. Shapes are written `float [B, C]`; B is the batch,
C the number of classes, N the number of images.

Training-time methods get torch tensors; inference-time ones (view merging, posthoc, ensemble merging, metrics) get
numpy arrays, so that a cell can be derived from stored logits without torch. A module that defines a technique
imports neither at its top: tensors and arrays bring their own methods, and what is needed besides is imported inside
the method that needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

import msgspec
from msgspec import Meta

from ltbench.technique import Technique

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt
    from torch import Generator, Tensor, nn

    FloatArray = npt.NDArray[np.floating[Any]]
    IntArray = npt.NDArray[np.int64]

__all__ = [
    "STAGES", "Augment", "Column", "Dataset", "DatasetInfo", "Ensemble", "Images", "LinearClassifier", "Loss", "Member", "Meta", "Metric", "Mix",
    "Mixed", "Model", "Phase", "Posthoc", "Profile", "Regime", "Sampler", "Stage", "Technique", "View", "Weight",
]  # fmt: skip


# --- where images come from -------------------------------------------------------------------------------------


class DatasetInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan has to know of a data set before any image is read."""

    classes: tuple[str, ...]
    train_counts: tuple[int, ...]
    """Training images available per class, in label order."""
    test_counts: tuple[int, ...]
    channels: int
    size: int
    """Height and width of the square images, in pixels."""
    mean: tuple[float, ...]
    """Per-channel mean of the training pixels scaled to [0, 1]; the engine normalises with it."""
    std: tuple[float, ...]
    fingerprint: str
    """Digest of the content; part of the identity of every job that reads it."""
    licence: str = ""
    source: str = ""


class Images(msgspec.Struct, frozen=True, kw_only=True):
    """A data set in memory or memory-mapped: images `uint8 [N, channels, size, size]`, labels `int64 [N]`."""

    train_images: Any
    train_labels: Any
    test_images: Any
    test_labels: Any


class Dataset(Technique, frozen=True):
    """A source of images and labels."""

    stage: ClassVar[str] = "dataset"
    augment: ClassVar[str] = ""
    """The technique, as written on a command line, that is this data set's own augmentation; empty for none."""

    def info(self, root: Path) -> DatasetInfo:
        """Describe the data set; constants where they are known, so that a plan needs no file.

        `root` is the folder that data sets live under. Raises `DataError` where the description depends on files
        that are missing.
        """
        raise NotImplementedError

    def locate(self, root: Path) -> str:
        """Say where the data is, as one line; raise `DataError` saying exactly what to put where if it is not."""
        raise NotImplementedError

    def load(self, root: Path) -> Images:
        """Read the images, checking their content; download first where the data set can and they are missing."""
        raise NotImplementedError


class Profile(Technique, frozen=True):
    """Class counts for an imbalance factor."""

    stage: ClassVar[str] = "profile"

    def counts(self, available: Sequence[int], imbalance_factor: float) -> list[int]:
        """Return how many training images each class keeps.

        available: images there are per class, in label order; imbalance_factor: most frequent / rarest, >= 1.
        """
        raise NotImplementedError


# --- how they are fed -------------------------------------------------------------------------------------------


class Sampler(Technique, frozen=True):
    """Which training images an epoch visits, in which order."""

    stage: ClassVar[str] = "sampler"

    def pool(self, labels: Tensor, counts: Tensor, generator: Generator) -> Tensor:
        """Return the indices that the run draws from, `int64 [P]`, drawn once per run; by default every image once.

        labels: int64 [N] of the training subset; counts: int64 [C] of the same.
        """
        return labels.new_ones(len(labels)).cumsum(0) - 1

    def batch_size(self, batch_size: int, classes: int) -> int:
        """Return the size of a batch; the recipe's by default."""
        return batch_size

    def epoch(self, pool: Tensor, labels: Tensor, counts: Tensor, batch_size: int, generator: Generator) -> Tensor:
        """Return the indices of one epoch in the order of their visit, `int64 [M]`, every one an element of `pool`.

        batch_size: the recipe's. M is the same in every epoch.
        """
        raise NotImplementedError

    def share(self, counts: Tensor) -> Tensor | None:
        """Return the share that each class has of all draws, float [C], or None where it cannot be said exactly.

        `ltbench check` holds the draws against it. counts: int64 [C].
        """
        return None


class Augment(Technique, frozen=True):
    """A random change of each image of a batch, with draws of its own for each image."""

    stage: ClassVar[str] = "augment"

    def apply(self, images: Tensor, generator: Generator) -> Tensor:
        """Return the changed images. images: float [B, channels, size, size] in [0, 1], before normalisation."""
        raise NotImplementedError

    def prepare(self, images: Tensor) -> Tensor:
        """Return what `batch` takes images from, made once per training. images: uint8 [N, channels, size, size].

        This and `batch` are the fast path, for a technique that is cheaper on stored bytes than on float images.
        """
        return images

    def batch(self, prepared: Tensor, indices: Tensor, generator: Generator) -> Tensor:
        """Return changed images, float32 [B, channels, size, size] in [0, 1], in memory of their own.

        prepared: what `prepare` returned; indices: int64 [B] of the images, on the same device.
        """
        return self.apply(prepared[indices].float().mul_(1 / 255), generator)


class Mixed(msgspec.Struct, frozen=True):
    """A blended batch: the loss is `lam * loss(labels_a) + (1 - lam) * loss(labels_b)`, per image."""

    images: Any
    """float [B, channels, size, size]"""
    labels_a: Any
    """int64 [B]"""
    labels_b: Any
    """int64 [B]"""
    lam: Any
    """float [B] in [0, 1]: the share of label a"""


class Mix(Technique, frozen=True):
    """Blends pairs of a batch: a pair of labels and a lambda for each image, never soft one-hots."""

    stage: ClassVar[str] = "mix"

    def mix(self, images: Tensor, labels: Tensor, counts: Tensor, generator: Generator) -> Mixed:
        """Blend. images: float [B, channels, size, size], normalised; labels: int64 [B]; counts: int64 [C]."""
        raise NotImplementedError


# --- what learns ------------------------------------------------------------------------------------------------


class Model(Technique, frozen=True):
    """A backbone and a classifier."""

    stage: ClassVar[str] = "model"

    def build(self, channels: int, size: int, classes: int) -> nn.Module:
        """Return the network, freshly initialised: float [B, channels, size, size] -> logits float [B, classes].

        It has timm's `get_classifier()`, the last linear layer, which decides what a frozen backbone is. Initial
        weights may be drawn from torch's global generator: the harness seeds it around this call alone.
        """
        raise NotImplementedError

    def mean_std(self, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
        """Return the mean and standard deviation per channel, of pixels in [0, 1], to normalise images with.

        None for those of the data set, which suit a network that starts from nothing. A pretrained network brings
        the ones that it was trained with.
        """
        return None


class Loss(Technique, frozen=True):
    """The loss of each sample."""

    stage: ClassVar[str] = "loss"

    def per_sample(self, logits: Tensor, labels: Tensor, counts: Tensor) -> Tensor:
        """Return the loss of each sample, float [B]. logits: float [B, C]; labels: int64 [B]; counts: int64 [C]."""
        raise NotImplementedError


class Weight(Technique, frozen=True):
    """Class weights from class counts."""

    stage: ClassVar[str] = "weight"

    def weights(self, counts: Tensor) -> Tensor:
        """Return the weight of each class, float [C], multiplied onto the per-sample loss. counts: int64 [C]."""
        raise NotImplementedError

    def reduce(self, losses: Tensor, weights: Tensor) -> Tensor:
        """Return the loss of the batch from weighted losses float [B] and the weights applied to them, float [B]."""
        return losses.mean()


class Phase(msgspec.Struct, frozen=True, kw_only=True):
    """A span of training under one set of switches. A technique that is switched off gives way to its baseline."""

    until: float
    """Where the phase ends, as a fraction of the whole training in (0, 1]; the last phase ends at 1."""
    sampler: bool = True
    augment: bool = True
    mix: bool = True
    loss: bool = True
    weight: bool = True
    still: bool = False
    """Whether images are shown as they are: no augmentation at all, not even the data set's own."""
    trainable: Literal["all", "classifier"] = "all"
    restart: bool = False
    """Whether optimiser state and learning-rate curve begin anew with this phase."""
    lr_scale: float = 1.0
    """Factor on the recipe's learning rate in this phase."""


class Regime(Technique, frozen=True):
    """The phases of a training."""

    stage: ClassVar[str] = "regime"

    def phases(self) -> Sequence[Phase]:
        """Return the phases in order."""
        raise NotImplementedError


# --- what is made of a trained network --------------------------------------------------------------------------


class View(Technique, frozen=True):
    """The views of a test image and how their predictions merge (test-time augmentation)."""

    stage: ClassVar[str] = "view"

    def views(self) -> Mapping[str, Callable[[Tensor], Tensor]]:
        """Return the views by name: images float [B, channels, size, size] -> the same shape, without randomness.

        The name `identity` is the image as it is, shared by every technique; others belong to this technique.
        """
        raise NotImplementedError

    def merge(self, logits: FloatArray) -> FloatArray:
        """Return probabilities float [N, C] from logits float [views, N, C], in the order of `views`."""
        raise NotImplementedError


class LinearClassifier(msgspec.Struct, frozen=True):
    """What logits do not tell of the linear layer that made them: `logits = features @ weights.T + bias`."""

    norms: Any
    """float [C]: the Euclidean norm of the weights of each class"""
    bias: Any
    """float [C]: zeros where the layer has none"""


class Posthoc(Technique, frozen=True):
    """A change of a trained classifier's logits, without training."""

    stage: ClassVar[str] = "posthoc"

    def adjust(self, logits: FloatArray, counts: IntArray) -> FloatArray:
        """Return changed logits of the same shape. logits: float [N, C]; counts: int64 [C]."""
        raise NotImplementedError

    def adjust_linear(self, logits: FloatArray, counts: IntArray, classifier: LinearClassifier | None) -> FloatArray:
        """Do the same, told of the classifier; this is what the harness calls, and by default it is `adjust`.

        classifier: None where the network does not end with a linear layer.
        """
        return self.adjust(logits, counts)


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One member of an ensemble: a training that differs from the cell's own in what is set here."""

    model: str = ""
    """A model as written on a command line; empty for the cell's own."""
    bag: int | None = None
    """Number of the bag that the member trains on; None for the whole training subset."""
    seed_offset: int = 0
    """Added to the training seed; 0 shares the fit of the plain cell with that seed."""


class Ensemble(Technique, frozen=True):
    """Which members a cell needs and how their predictions merge."""

    stage: ClassVar[str] = "ensemble"

    def members(self, counts: Sequence[int]) -> Sequence[Member]:
        """Return the members for these class counts."""
        raise NotImplementedError

    def bag(self, number: int, labels: IntArray, rng: np.random.Generator) -> IntArray:
        """Return the indices of bag `number` into the training subset. labels: int64 [N].

        `rng` starts in the same state for every bag of a run.
        """
        raise NotImplementedError

    def merge(self, probabilities: FloatArray) -> FloatArray:
        """Return probabilities float [N, C] from those of the members, float [members, N, C]."""
        raise NotImplementedError


PRIMARY: Final = "top1"
"""The number that leaderboards rank by."""
CLASS_ACCURACY: Final = "accuracy"
"""The number per class that figures and published tables show."""
CLASS_SUPPORT: Final = "support"
"""The number per class that counts test images."""
PER_CLASS: Final = "per_class."
"""What the name of a list with one number per class begins with."""


Unit = Literal["percent", "plain"]


class Column(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How leaderboards show one number of a metric."""

    name: str
    """The name under which `compute` returns it: `few`, `per_class.f1`."""
    title: str
    """Heading of the column; tables are narrow, so a word or two."""
    long_title: str = ""
    """Name in full; empty where the title is that."""
    description: str = ""
    """What it measures, in a sentence or two."""
    higher_is_better: bool = True
    unit: Unit = "percent"
    """`percent`: a fraction, shown times 100 with one decimal. `plain`: shown as it is, with three."""
    shown: Literal["main", "folded", "report", "export"] = "folded"
    """The first place that has it: the main table of a page, the folded one below it, the HTML report, `table.csv`.

    The terminal has what the page has, as far as it is wide enough. `export` has every number, whatever is set here.
    """
    order: int = 0
    """Place in a table: lower is further to the left, equal ones stay in the order in which they are declared."""
    priority: int = 0
    """A terminal that is too narrow leaves out the columns of the lowest priority."""

    @property
    def per_class(self) -> bool:
        """Whether it is a list with one number per class."""
        return self.name.startswith(PER_CLASS)

    @property
    def full_title(self) -> str:
        """The name in full."""
        return self.long_title or self.title

    @property
    def full_description(self) -> str:
        """The description, and which end is good where that is the low one."""
        return self.description if self.higher_is_better else f"{self.description} Low is good.".lstrip()


class Metric(Technique, frozen=True):
    """Numbers from predictions."""

    stage: ClassVar[str] = "metric"
    columns: ClassVar[tuple[Column, ...]] = ()
    """How the numbers are shown, in this order; one that has no column here is exported and shown nowhere."""

    def compute(self, probabilities: FloatArray, labels: IntArray, counts: IntArray) -> Mapping[str, object]:
        """Return numbers by name: floats, lists with one number per class, nested lists; None where undefined.

        probabilities: float [N, C]; labels: int64 [N]; counts: int64 [C] of the training subset.
        """
        raise NotImplementedError


class Stage(msgspec.Struct, frozen=True):
    """A place on the line where techniques act."""

    name: str
    hook: str
    base: type[Technique]
    role: Literal["setting", "technique", "metric"]
    """`setting`: every cell has one, named by the suite. `technique`: a combination picks at most one."""
    about: str


STAGES: Mapping[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage("dataset", "ltbench_datasets", Dataset, "setting", "where images and labels come from"),
        Stage("profile", "ltbench_profiles", Profile, "setting", "class counts for an imbalance factor"),
        Stage("sampler", "ltbench_samplers", Sampler, "technique", "which images an epoch visits, in which order"),
        Stage("augment", "ltbench_augments", Augment, "technique", "random change of each image of a batch"),
        Stage("mix", "ltbench_mixes", Mix, "technique", "blends pairs of a batch"),
        Stage("model", "ltbench_models", Model, "setting", "backbone and classifier"),
        Stage("loss", "ltbench_losses", Loss, "technique", "loss of each sample"),
        Stage("weight", "ltbench_weights", Weight, "technique", "class weights from class counts"),
        Stage("regime", "ltbench_regimes", Regime, "technique", "phases of training"),
        Stage("view", "ltbench_views", View, "technique", "views of a test image and how they merge"),
        Stage("posthoc", "ltbench_posthocs", Posthoc, "technique", "change of a trained classifier's logits"),
        Stage("ensemble", "ltbench_ensembles", Ensemble, "technique", "members of a cell and how they merge"),
        Stage("metric", "ltbench_metrics", Metric, "metric", "numbers from predictions"),
    )
}
"""Every stage in the order in which data meets it."""

TECHNIQUE_STAGES = tuple(stage.name for stage in STAGES.values() if stage.role == "technique")
# What acts in every step of a training is what a phase can switch off.
TRAINING_STAGES = tuple(name for name in STAGES if name in Phase.__struct_fields__)
