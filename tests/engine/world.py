"""A small test bed for the engine: patterns that a tiny network learns in a second, and job specs for them."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

from ltbench import Dataset, DatasetInfo, Ensemble, Images, Member, Meta, Model, Sampler, Weight
from ltbench.core.spec import PROTOCOL, Job, Spec, identity
from ltbench.executor import Context
from ltbench.stages import Technique
from ltbench.store.store import Store
from ltbench.suite.recipe import Recipe
from ltbench_plugins.augments.crop_flip import CropFlip
from ltbench_plugins.losses.cross_entropy import CrossEntropy
from ltbench_plugins.losses.label_smooth import LabelSmooth
from ltbench_plugins.mixes.mixup import Mixup
from ltbench_plugins.profiles.exp import Exp
from ltbench_plugins.samplers.cb_sampler import CbSampler
from ltbench_plugins.samplers.shuffle import Shuffle
from ltbench_plugins.views.tta import Tta

CLASSES, TRAIN, TEST, SIZE = 3, 30, 6, 8


class Patterns(Dataset, frozen=True):
    """Each class is a pattern of dark and light pixels, with noise on top."""

    name = "patterns"

    def info(self, root: Path) -> DatasetInfo:
        return DatasetInfo(
            classes=tuple("abc"), train_counts=(TRAIN,) * CLASSES, test_counts=(TEST,) * CLASSES, channels=1, size=SIZE,
            mean=(0.4,), std=(0.2,), fingerprint="patterns1",
        )  # fmt: skip

    def load(self, root: Path) -> Images:
        rng = np.random.default_rng(0)
        patterns = rng.integers(40, 160, (CLASSES, 1, SIZE, SIZE))
        parts: dict[str, Any] = {}
        for split, each in (("train", TRAIN), ("test", TEST)):
            labels = np.arange(CLASSES).repeat(each)
            noise = rng.integers(-40, 40, (len(labels), 1, SIZE, SIZE))
            parts |= {f"{split}_images": (patterns[labels] + noise).astype(np.uint8), f"{split}_labels": labels}
        return Images(**parts)


class Net(Model, frozen=True):
    """A convolution with batch normalisation and dropout: so that a state has every kind of content."""

    name = "net"
    dropout: Annotated[float, Meta(ge=0, lt=1)] = 0.2

    def build(self, channels: int, size: int, classes: int) -> nn.Module:
        return _Network(channels, classes, self.dropout)


class _Network(nn.Module):
    def __init__(self, channels: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(channels, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.AdaptiveAvgPool2d(4)
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(96, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.dropout(self.features(images).flatten(1)))

    def get_classifier(self) -> nn.Module:
        return self.head


class Inverse(Weight, frozen=True):
    """Weights of one over the class count."""

    name = "inverse"

    def weights(self, counts: torch.Tensor) -> torch.Tensor:
        return 1 / counts.float()


class Half(Sampler, frozen=True):
    """Visits half the images per epoch, so that its epochs are shorter than those of the baseline."""

    name = "half"

    def epoch(
        self,
        pool: torch.Tensor,
        labels: torch.Tensor,
        counts: torch.Tensor,
        batch_size: int,
        generator: torch.Generator,
    ) -> torch.Tensor:
        return pool[torch.randperm(len(pool), generator=generator)[: len(pool) // 2]]


class Bags(Ensemble, frozen=True):
    """Splits the images at random into two bags."""

    name = "bags"

    def members(self, counts: Sequence[int]) -> Sequence[Member]:
        return [Member(bag=0), Member(bag=1)]

    def bag(self, number: int, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return rng.permutation(len(labels))[number::2]


TECHNIQUES: tuple[type[Technique], ...] = (
    Patterns, Exp, Net, Shuffle, CbSampler, Half, CropFlip, Mixup, CrossEntropy, LabelSmooth, Inverse, Bags, Tta,
)  # fmt: skip


class World:
    """A registry of these techniques and those that a test adds."""

    def __init__(self, *more: type[Technique]) -> None:
        self.by_name = {technique.name: technique for technique in (*TECHNIQUES, *more)}

    def build_as(self, spec, kind):
        return self.build(spec)

    def build(self, spec: Spec) -> Technique:
        return self.by_name[spec["name"]].parse(spec["params"])

    def spec(self, technique: Technique) -> Spec:
        return {"name": technique.name, "distribution": "test", "revision": 1, "params": technique.params}

    def provenance(self, technique: Technique) -> Spec:
        return self.spec(technique) | {"stage": technique.stage, "version": "1", "source": ""}


PLAIN: Spec = {
    "sampler": Shuffle(), "augment": CropFlip(padding=1), "mix": None, "loss": CrossEntropy(), "weight": None,
    "trainable": "all", "restart": False, "lr_scale": 1.0,
}  # fmt: skip
RECIPE = {"epochs": 4, "batch_size": 8, "lr": 0.05, "precision": "fp32"}
# 30 + 17 + 10 images are seven batches of eight and one image, which is dropped.


def plain(until: float = 1.0, **changes: object) -> Spec:
    """Return a segment, with techniques in place of their specs."""
    return {"until": until, **PLAIN, **changes}


def fit_job(
    *segments: Spec,
    recipe: Spec | None = None,
    parents: Sequence[str] = (),
    keep_state: bool = False,
    model: Model | None = None,
    seed: int = 0,
    bag: int | None = None,
    factor: float = 3.0,
    held_out: float = 0.0,
) -> Job:
    """Return the job of a fit on the patterns."""
    world = World()

    def to_spec(value: object) -> object:
        return world.spec(value) if isinstance(value, Technique) else value

    spec: Spec = {
        "kind": "fit",
        "protocol": PROTOCOL,
        "data": {
            "dataset": to_spec(Patterns()), "fingerprint": "patterns1", "profile": to_spec(Exp()),
            "imbalance_factor": factor, "subset_seed": 0, **({"held_out": held_out} if held_out else {}),
        },
        "bag": None if bag is None else {"ensemble": to_spec(Bags()), "number": bag},
        "model": to_spec(model or Net()),
        "recipe": {**RECIPE, **(recipe or {})},
        "seed": seed,
        "segments": [{k: to_spec(v) for k, v in segment.items()} for segment in segments or [plain()]],
    }  # fmt: skip
    spec["recipe"] = {k: v for k, v in spec["recipe"].items() if v is not None}
    msgspec.convert(spec["recipe"], Recipe)
    return Job(key=identity(spec), kind="fit", spec=spec, parents=tuple(parents), keep_state=keep_state)


def context_of(root: Path, *more: type[Technique]) -> Context:
    """Return a context with an empty store."""
    return Context(store=Store(root / "store"), registry=World(*more), data_root=root / "data")  # type: ignore[arg-type]


def weights(context: Context, job: Job) -> dict[str, torch.Tensor]:
    """Return the weights of a fit."""
    return load_file(context.store.path(job.key) / "weights.safetensors")


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    """Whether two sets of tensors are equal to the last bit."""
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def digest(context: Context, job: Job) -> str:
    """Return a digest of the weights of a fit."""
    parts = sorted(weights(context, job).items())
    return hashlib.sha256(b"".join(tensor.numpy().tobytes() for _, tensor in parts)).hexdigest()


if __name__ == "__main__":
    from ltbench.engine.fit import fit

    where = context_of(Path(sys.argv[1]))
    fit(fit_job(), where)
    print(digest(where, fit_job()))
