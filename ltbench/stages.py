"""The stages of a long-tailed classifier: one base class for the techniques of each.

A technique is a small frozen class whose fields are its hyper-parameters. Its methods are pure: they get everything
they need as arguments, including random generators. Shapes are written `float [B, C]`; B is the batch size, C the
number of classes, N the number of images.

Training-time methods get torch tensors; inference-time methods (merging of views and members, posthoc, metrics) get
numpy arrays, so that cells can be derived from stored logits without torch. A technique's module imports neither at its
top: most code only needs methods of tensors and arrays, and other imports belong in the method that needs them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from ltbench.columns import Column
from ltbench.data_report import DataReport
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


# --- data -------------------------------------------------------------------------------------------------------


class DatasetInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The description of a data set, which is enough to plan before any image is read."""

    classes: tuple[str, ...]
    train_counts: tuple[int, ...]
    """Training images available per class, in label order."""
    test_counts: tuple[int, ...]
    channels: int
    size: int
    """Height and width of the square images, in pixels."""
    mean: tuple[float, ...]
    """Mean of the training pixels in [0, 1] per channel; the engine normalises with it."""
    std: tuple[float, ...]
    fingerprint: str
    """Digest of the content; part of the identity of every job that reads the data."""
    licence: str = ""
    source: str = ""
    valid_counts: tuple[int, ...] = ()
    """Images per class of the data set's own validation split, which is held out if a suite asks for it; empty for none."""
    valid_fingerprint: str = ""
    """Digest of the validation split; part of the identity of jobs that hold it out, as `fingerprint` is of all."""
    report: DataReport | None = None
    """What was found in the files, for a data set that is described by reading them; not part of an identity."""


class Images(msgspec.Struct, frozen=True, kw_only=True):
    """A data set in memory or memory-mapped: images `uint8 [N, channels, size, size]`, labels `int64 [N]`."""

    train_images: Any
    train_labels: Any
    test_images: Any
    test_labels: Any
    valid_images: Any = None
    """Images of the validation split; None for a data set without one."""
    valid_labels: Any = None


class Dataset(Technique, frozen=True):
    """A source of images and labels."""

    stage: ClassVar[str] = "dataset"
    augment: ClassVar[str] = ""
    """The default augmentation of this data set, in command-line notation; empty for none."""
    profile: ClassVar[str] = ""
    """The profile if a command line names this data set but no profile or imbalance factor; empty for the suite's."""

    def info(self, root: Path) -> DatasetInfo:
        """Describe the data set, from constants if possible, so that plans need no files.

        root: the folder of all data sets. Raises `DataError` if the description needs missing files.
        """
        raise NotImplementedError

    def locate(self, root: Path) -> str:
        """Return where the data is, in one line. Raises `DataError` with instructions if it is missing."""
        raise NotImplementedError

    def load(self, root: Path) -> Images:
        """Read and verify the images; download missing ones first if possible."""
        raise NotImplementedError


class Profile(Technique, frozen=True):
    """Class counts for an imbalance factor."""

    stage: ClassVar[str] = "profile"
    keeps_all: ClassVar[bool] = False
    """Whether it keeps every image for any imbalance factor; it is planned once, at factor 1."""

    def counts(self, available: Sequence[int], imbalance_factor: float) -> list[int]:
        """Return how many training images each class keeps.

        available: images per class, in label order; imbalance_factor: ratio of largest and smallest class, >= 1.
        """
        raise NotImplementedError


# --- batches ----------------------------------------------------------------------------------------------------


class Sampler(Technique, frozen=True):
    """The training images that an epoch visits, and their order."""

    stage: ClassVar[str] = "sampler"

    def pool(self, labels: Tensor, counts: Tensor, generator: Generator) -> Tensor:
        """Return the indices to draw from, `int64 [P]`; called once per training. Default: every image once.

        labels: int64 [N] of the training subset; counts: int64 [C] of the same.
        """
        return labels.new_ones(len(labels)).cumsum(0) - 1

    def batch_size(self, batch_size: int, classes: int) -> int:
        """Return the batch size; by default that of the recipe."""
        return batch_size

    def epoch(self, pool: Tensor, labels: Tensor, counts: Tensor, batch_size: int, generator: Generator) -> Tensor:
        """Return the indices of an epoch in order, `int64 [M]`, all of them elements of `pool`.

        batch_size: that of the recipe. M is the same for every epoch.
        """
        raise NotImplementedError

    def share(self, counts: Tensor) -> Tensor | None:
        """Return the expected share of each class in all draws, float [C], or None if it is not known exactly.

        `ltbench check` tests the draws against it. counts: int64 [C].
        """
        return None


class Augment(Technique, frozen=True):
    """A random transformation of each image, drawn independently per image."""

    stage: ClassVar[str] = "augment"

    def apply(self, images: Tensor, generator: Generator) -> Tensor:
        """Return the transformed images. images: float [B, channels, size, size] in [0, 1], before normalisation."""
        raise NotImplementedError

    def prepare(self, images: Tensor) -> Tensor:
        """Prepare all images for `batch`; called once per training. images: uint8 [N, channels, size, size].

        `prepare` and `batch` are a fast path for techniques that are faster on bytes than on float images.
        """
        return images

    def batch(self, prepared: Tensor, indices: Tensor, generator: Generator) -> Tensor:
        """Return transformed images, float32 [B, channels, size, size] in [0, 1], that share no memory with `prepared`.

        prepared: the result of `prepare`; indices: int64 [B] of the images, on the same device.
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
    """float [B] in [0, 1]: the weight of label a"""


class Mix(Technique, frozen=True):
    """Blends pairs of images of a batch. Each result has two labels and a lambda, never soft labels."""

    stage: ClassVar[str] = "mix"

    def mix(self, images: Tensor, labels: Tensor, counts: Tensor, generator: Generator) -> Mixed:
        """Blend a batch. images: float [B, channels, size, size], normalised; labels: int64 [B]; counts: int64 [C]."""
        raise NotImplementedError


# --- training ---------------------------------------------------------------------------------------------------


class Model(Technique, frozen=True):
    """A backbone and a classifier."""

    stage: ClassVar[str] = "model"

    def build(self, channels: int, size: int, classes: int) -> nn.Module:
        """Return a freshly initialised network: float [B, channels, size, size] -> logits float [B, classes].

        It has timm's `get_classifier()`, the last linear layer; the rest is the backbone that a regime may freeze.
        Initial weights may come from torch's global generator, which the harness seeds around this call only.
        """
        raise NotImplementedError

    def mean_std(self, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
        """Return mean and standard deviation per channel, for pixels in [0, 1], to normalise images.

        None means those of the data set. A pretrained network returns those it was trained with.
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
        """Return the weight of each class, float [C], a factor of the per-sample loss. counts: int64 [C]."""
        raise NotImplementedError

    def reduce(self, losses: Tensor, weights: Tensor) -> Tensor:
        """Return the loss of the batch. losses: weighted, float [B]; weights: those of the samples, float [B]."""
        return losses.mean()


class Phase(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the training with fixed switches. A technique that is off is replaced by the baseline of its stage."""

    until: float
    """End of the phase as a fraction of the whole training, in (0, 1]; the last phase ends at 1."""
    sampler: bool = True
    augment: bool = True
    mix: bool = True
    loss: bool = True
    weight: bool = True
    still: bool = False
    """Whether images are not augmented, not even by the default of the data set."""
    trainable: Literal["all", "classifier"] = "all"
    restart: bool = False
    """Whether optimiser state, learning-rate schedule and moving average of the weights restart with this phase."""
    lr_scale: float = 1.0
    """Factor on the learning rate of the recipe."""


class Regime(Technique, frozen=True):
    """The phases of a training."""

    stage: ClassVar[str] = "regime"

    def phases(self) -> Sequence[Phase]:
        """Return the phases in order."""
        raise NotImplementedError


# --- after training ---------------------------------------------------------------------------------------------


class View(Technique, frozen=True):
    """Test-time augmentation: views of a test image, and how to merge their predictions."""

    stage: ClassVar[str] = "view"

    def views(self) -> Mapping[str, Callable[[Tensor], Tensor]]:
        """Return the views by name: deterministic functions of images float [B, channels, size, size] to the same shape.

        The view `identity` is the unchanged image; all techniques share its predictions.
        """
        raise NotImplementedError

    def merge(self, logits: FloatArray) -> FloatArray:
        """Return probabilities float [N, C] from logits float [views, N, C], in the order of `views`."""
        raise NotImplementedError


class LinearClassifier(msgspec.Struct, frozen=True):
    """Properties of the linear layer behind the logits: `logits = features @ weights.T + bias`."""

    norms: Any
    """float [C]: the Euclidean norm of the weights of each class"""
    bias: Any
    """float [C]: zeros if the layer has none"""


class Posthoc(Technique, frozen=True):
    """An adjustment of the logits of a trained classifier, without training."""

    stage: ClassVar[str] = "posthoc"

    def adjust(self, logits: FloatArray, counts: IntArray) -> FloatArray:
        """Return adjusted logits of the same shape. logits: float [N, C]; counts: int64 [C]."""
        raise NotImplementedError

    def adjust_linear(self, logits: FloatArray, counts: IntArray, classifier: LinearClassifier | None) -> FloatArray:
        """Adjust with access to the classifier. The harness calls this method, which by default calls `adjust`.

        classifier: None if the network does not end with a linear layer.
        """
        return self.adjust(logits, counts)


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A member of an ensemble: the training of the cell with these changes."""

    model: str = ""
    """A model, in command-line notation; empty for that of the cell."""
    bag: int | None = None
    """Number of the bag to train on; None for the whole training subset."""
    seed_offset: int = 0
    """Added to the training seed; with 0, the member shares the fit of the cell without ensemble."""


class Ensemble(Technique, frozen=True):
    """The members of a cell, and how to merge their predictions."""

    stage: ClassVar[str] = "ensemble"

    def members(self, counts: Sequence[int]) -> Sequence[Member]:
        """Return the members for these class counts."""
        raise NotImplementedError

    def bag(self, number: int, labels: IntArray, rng: np.random.Generator) -> IntArray:
        """Return the indices of bag `number` into the training subset. labels: int64 [N].

        `rng` starts in the same state for every bag of a training.
        """
        raise NotImplementedError

    def merge(self, probabilities: FloatArray) -> FloatArray:
        """Return probabilities float [N, C] from those of the members, float [members, N, C]."""
        raise NotImplementedError


class Metric(Technique, frozen=True):
    """Numbers computed from predictions."""

    stage: ClassVar[str] = "metric"
    columns: ClassVar[tuple[Column, ...]] = ()
    """How numbers are shown, in this order; numbers without a column are only exported."""

    def compute(self, probabilities: FloatArray, labels: IntArray, counts: IntArray) -> Mapping[str, object]:
        """Return numbers by name: floats, lists with one number per class, nested lists; None if undefined.

        probabilities: float [N, C]; labels: int64 [N]; counts: int64 [C] of the training subset.
        """
        raise NotImplementedError


class Stage(msgspec.Struct, frozen=True):
    """A stage of the pipeline from images to metrics, where techniques act."""

    name: str
    hook: str
    base: type[Technique]
    role: Literal["setting", "technique", "metric"]
    """`setting`: chosen by the suite for every cell. `technique`: a combination has at most one."""
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
"""Every stage in the order of the pipeline."""

TECHNIQUE_STAGES = tuple(stage.name for stage in STAGES.values() if stage.role == "technique")
# Phases can switch off what acts in every step of a training.
TRAINING_STAGES = tuple(name for name in STAGES if name in Phase.__struct_fields__)
