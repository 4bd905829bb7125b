"""The stages of a long-tailed classifier: one base class for the techniques of each.

A technique is a small frozen class whose fields are its hyper-parameters. Its methods are pure: they get everything
they need as arguments, including random generators. Shapes are written `float [B, C]`; B is the batch size, C the
number of classes, N the number of images.

Training-time methods get torch tensors; inference-time methods (merging of views and members, posthoc, metrics) get
numpy arrays, so that cells can be derived from stored logits without torch. A technique's module imports neither at its
top: most code only needs methods of tensors and arrays, and other imports belong in the method that needs them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import Meta

from ltbench.columns import Column
from ltbench.stages.batches import Augment, Mix, Mixed, Sampler
from ltbench.stages.data import Dataset, DatasetInfo, Images, Profile
from ltbench.stages.inference import Ensemble, Evidence, LinearClassifier, Member, Metric, Posthoc, Predicted, View
from ltbench.stages.networks import Branches, Finetune, Head, Model, ParameterGroup, TimmNetwork
from ltbench.stages.objective import Auxiliary, Closure, Loss, Update, Weight
from ltbench.stages.regimes import Phase, Regime
from ltbench.stages.training_context import Adaptive, Moment, Outputs, Partner, Seen, Told
from ltbench.technique import Technique

if TYPE_CHECKING:
    from ltbench.stages.inference import FloatArray as FloatArray
    from ltbench.stages.inference import IntArray as IntArray
    from ltbench.stages.networks import Batches as Batches
    from ltbench.stages.training_context import State as State

__all__ = [
    "STAGES", "Adaptive", "Augment", "Auxiliary", "Branches", "Closure", "Column", "Dataset", "DatasetInfo", "Ensemble", "Evidence", "Finetune",
    "Head", "Images", "LinearClassifier", "Loss", "Member", "Meta", "Metric", "Mix", "Mixed", "Model", "Moment", "Outputs", "ParameterGroup",
    "Partner", "Phase",
    "Posthoc", "Predicted",
    "Profile", "Regime", "Sampler", "Seen", "Stage", "Technique", "TimmNetwork", "Told", "Update", "View", "Weight",
]  # fmt: skip


class Stage(msgspec.Struct, frozen=True):
    """A stage of the pipeline from images to metrics, where techniques act."""

    name: str
    hook: str
    base: type[Technique]
    role: Literal["setting", "technique", "metric"]
    """`setting`: chosen by the suite for every cell. `technique`: a combination has at most one."""
    about: str
    since: int = 1
    """The first version of the contract that has it."""


STAGES: Mapping[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage("dataset", "ltbench_datasets", Dataset, "setting", "where images and labels come from"),
        Stage("profile", "ltbench_profiles", Profile, "setting", "class counts for an imbalance factor"),
        Stage("sampler", "ltbench_samplers", Sampler, "technique", "which images an epoch visits, in which order"),
        Stage("augment", "ltbench_augments", Augment, "technique", "random change of each image of a batch"),
        Stage("mix", "ltbench_mixes", Mix, "technique", "blends pairs of a batch"),
        Stage("model", "ltbench_models", Model, "setting", "backbone and classifier"),
        Stage(
            "finetune",
            "ltbench_finetunes",
            Finetune,
            "technique",
            "which parameters of a pretrained network learn",
            since=2,
        ),
        Stage("head", "ltbench_heads", Head, "technique", "classifier in place of the model's linear layer", since=2),
        Stage(
            "branches",
            "ltbench_branches",
            Branches,
            "technique",
            "several copies of the last blocks of a network",
            since=2,
        ),
        Stage("loss", "ltbench_losses", Loss, "technique", "loss of each sample"),
        Stage("weight", "ltbench_weights", Weight, "technique", "class weights from class counts"),
        Stage("auxiliary", "ltbench_auxiliaries", Auxiliary, "technique", "second term of the objective", since=2),
        Stage("update", "ltbench_updates", Update, "technique", "how a step changes the weights", since=2),
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
# Parts of the network, which a training has from its first step to its last.
NETWORK_STAGES = tuple(stage.name for stage in STAGES.values() if stage.base in {Finetune, Head, Branches})

# What a training can differ in from another one of the same data and model.
MEMBER_STAGES = (*(stage for stage in STAGES if stage in {*TRAINING_STAGES, *NETWORK_STAGES}), Regime.stage)

# What a phase changes besides techniques; a segment states it where it is not the default.
PHASE_CHANGES = ("classifier", "batch_norm", "weight_decay_scale", "max_norm")

# Techniques of a segment that another one of it uses: what it follows, its second stream, the views of its images.
COMPANIONS = ("augment_first", "partner", "views")


def always_stated(stage: str) -> bool:
    """Whether specs and records state a stage also where it has no technique, as they do for those of the first version."""
    return STAGES[stage].since == 1
