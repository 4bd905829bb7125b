"""Fits on features of a frozen backbone: a pretend pretrained network on the patterns."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import torch
from engine.world import Patterns, World, context_of, fit_job, plain
from torch import Tensor, nn

from ltbench import Finetune, Head, Loss, Meta, Model
from ltbench.core.spec import Job, Spec, identity
from ltbench.executor import Context
from ltbench.planning.feature_jobs import feature_jobs, stack_name
from ltbench_plugins.finetunes.linear_probe import LinearProbe
from ltbench_plugins.heads.cosine import Cosine
from ltbench_plugins.losses.balanced_softmax import BalancedSoftmax
from ltbench_plugins.losses.ldam import Ldam
from ltbench_plugins.samplers.cb_sampler import CbSampler
from ltbench_plugins.samplers.shuffle import Shuffle


class Frozen(Model, frozen=True):
    """A convolution with fixed weights, and a linear classifier."""

    name = "frozen"
    noisy: Annotated[bool, Meta(description="whether features are drawn anew in each call")] = False

    @property
    def is_pretrained(self) -> bool:
        return True

    @property
    def is_frozen(self) -> bool:
        return True

    def build(self, channels: int, size: int, classes: int) -> nn.Module:
        return _Network(channels, classes, self.noisy)


class _Network(nn.Module):
    def __init__(self, channels: int, classes: int, noisy: bool) -> None:
        super().__init__()
        self.noisy = noisy
        self.conv = nn.Conv2d(channels, 6, 3, stride=2, padding=1)
        with torch.random.fork_rng():
            torch.manual_seed(1)
            nn.init.normal_(self.conv.weight)
        nn.init.zeros_(self.conv.bias)
        self.norm = nn.BatchNorm2d(6)
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(96, classes)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.norm(self.conv(images)).relu()
        features = self.dropout(maps.flatten(1))
        return self.head(features + torch.rand(()) if self.noisy else features)

    def get_classifier(self) -> nn.Module:
        return self.head


class Drawing(Loss, frozen=True):
    """Cross-entropy with noise from torch's global generator."""

    name = "drawing"

    def per_sample(self, logits: Tensor, labels: Tensor, counts: Tensor) -> Tensor:
        noise = 0.1 * torch.rand_like(logits)
        return nn.functional.cross_entropy(logits + noise, labels, reduction="none")


class Diverging(Loss, frozen=True):
    """A loss that is not finite after some calls: for logits that have moved far enough."""

    name = "diverging"

    def per_sample(self, logits: Tensor, labels: Tensor, counts: Tensor) -> Tensor:
        spread = logits.detach().amax() - logits.detach().amin()
        return nn.functional.cross_entropy(logits, labels, reduction="none") + torch.where(spread > 2, torch.inf, 0.0)


TECHNIQUES = (Frozen, Drawing, Diverging, LinearProbe, Cosine, BalancedSoftmax, Ldam, CbSampler, Shuffle)


def still(until: float = 1.0, **changes: object) -> Spec:
    """Return a segment on fixed images."""
    return plain(until, augment=None, trainable="classifier") | changes


def frozen_fit(
    *segments: Spec,
    recipe: Spec | None = None,
    head: Head | None = None,
    finetune: Finetune | None = None,
    model: Model | None = None,
    **more: object,
) -> Job:
    """Return a fit on features, with the jobs of its features as parents."""
    job = fit_job(*(segments or (still(),)), model=model or Frozen(), recipe=recipe, **more)  # type: ignore[arg-type]
    spec = job.spec | {"features": True}
    for stage, technique in (("head", head), ("finetune", finetune)):
        spec |= {} if technique is None else {stage: World().spec(technique)}
    parents = tuple(one.key for one in feature_jobs(spec))
    return Job(key=identity(spec), kind="fit", spec=spec, parents=parents, together=stack_name(spec))


def frozen_context(root: Path, *more: type) -> Context:
    """Return a context with the techniques of this file."""
    return context_of(root, *TECHNIQUES, *more)


class Renamed(Patterns, frozen=True):
    """The patterns with other pixels in image 7, as a data set that has changed."""

    name = "renamed"

    def info(self, root: Path) -> object:  # type: ignore[override]
        return msgspec.structs.replace(super().info(root), fingerprint="renamed1")

    def load(self, root: Path) -> object:  # type: ignore[override]
        images = super().load(root)
        images.train_images[7] = 255 - images.train_images[7]
        return images
