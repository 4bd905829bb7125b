"""Techniques that use everything of a step, and fits with them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from engine.world import PLAIN, World, fit_job
from torch import Tensor, nn

from ltbench import Augment, Auxiliary, Branches, Head, Loss, Mix, Mixed, Model, Moment, Outputs, Seen, Told, Update
from ltbench.core.spec import Job, Spec, identity
from ltbench.stages import Technique

LOG: list[Any] = []
"""What techniques noted during a test; tests clear it."""


class Blocks(Model, frozen=True):
    """Three blocks with batch normalisation and dropout, and a linear classifier."""

    name = "blocks"
    has_blocks = True

    def build(self, channels: int, size: int, classes: int) -> nn.Module:
        return _Blocks(channels, classes)


class _Blocks(nn.Module):
    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        widths = [channels, 4, 6, 5]
        self.stages = nn.Sequential(*(
            nn.Sequential(nn.Conv2d(before, after, 3, stride=2, padding=1), nn.BatchNorm2d(after), nn.ReLU())
            for before, after in itertools.pairwise(widths)
        ))  # fmt: skip
        self.dropout = nn.Dropout(0.2)
        self.classifier = nn.Linear(5, classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.forward_head(self.stages(images))

    def forward_head(self, maps: Tensor, pre_logits: bool = False) -> Tensor:
        features = self.dropout(maps.mean((2, 3)))
        return features if pre_logits else self.classifier(features)

    def blocks(self) -> list[nn.Module]:
        return list(self.stages)

    def get_classifier(self) -> nn.Module:
        return self.classifier


class Pair(Branches, frozen=True):
    """Two branches, the second of which counts twice."""

    name = "pair"
    apart: bool = False

    def number(self) -> int:
        return 2

    def merge(self, logits: Any) -> Any:
        return (logits[0] + 2 * logits[1]) / 3


class Doubled(Head, frozen=True):
    """A linear layer without bias whose logits count twice."""

    name = "doubled"

    def build(self, features: int, classes: int, counts: Tensor) -> nn.Module:
        return _Doubled(features, classes)


class _Doubled(nn.Module):
    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.in_features = features
        self.weight = nn.Parameter(torch.randn(classes, features) / 4)

    def forward(self, features: Tensor) -> Tensor:
        return 2 * features @ self.weight.T


class Twice(Update, frozen=True):
    """Calls the closure twice and steps with the second gradient."""

    name = "twice"
    passes = 2
    calls: int = 2

    def step(self, closure: Any, optimizer: Any, labels: Tensor, counts: Tensor, moment: Moment) -> None:
        LOG.append([float(closure()) for _ in range(self.calls)])
        optimizer.step()


class Halves(Update, frozen=True):
    """Sums the gradients of two halves of the batch."""

    name = "halves"
    passes = 2

    def step(self, closure: Any, optimizer: Any, labels: Tensor, counts: Tensor, moment: Moment) -> None:
        first = (torch.arange(len(labels)) % 2).float()
        closure(first)
        kept = {p: p.grad.clone() for group in optimizer.param_groups for p in group["params"] if p.grad is not None}
        closure(1 - first)
        for parameter, gradient in kept.items():
            parameter.grad.add_(gradient)
        optimizer.step()


class Centre(Auxiliary, frozen=True):
    """Distance of projected features from learnt centres and from a remembered mean, over all views."""

    name = "centre"
    views = ("", "crop_flip")
    momentum = 0.5

    def learns(self, features: int, classes: int, counts: Tensor) -> nn.Module:
        return nn.ModuleDict({"project": nn.Linear(features, 2), "centres": nn.Embedding(classes, 2)})

    def remembers(self, features: int, classes: int, counts: Tensor, generator: Any) -> dict[str, Tensor]:
        return {"mean": torch.rand(2, generator=generator), "right": torch.zeros(classes)}

    def term(self, views: Sequence[Outputs], labels: Tensor, counts: Tensor, moment: Moment) -> Tensor:
        LOG.append(([view.features for view in views], labels, moment))
        total = views[0].logits.new_zeros(())
        for view in views:
            projected = view.own["project"](view.features[0])
            slow = view.slow.own["project"](view.slow.features[0])
            total = (
                total + (projected - view.own["centres"](labels)).square().mean() + (projected - slow).square().mean()
            )
            total = total + (projected - view.state["mean"]).square().mean()
        return total

    def after_step(self, outputs: Outputs, batch: Mixed, network: nn.Module, state: Any) -> dict[str, Tensor]:
        return {**state, "mean": 0.9 * state["mean"] + 0.1 * outputs.own["project"](outputs.features[0]).mean(0)}

    def after_epoch(self, seen: Seen, state: Any, moment: Moment) -> dict[str, Tensor]:
        LOG.append(("epoch", seen, moment))
        return {**state, "right": seen.correct / seen.images}


class Focused(Loss, frozen=True):
    """Cross entropy plus the squared norm of the features, with a weight that grows with the progress."""

    name = "focused"

    def of(self, outputs: Outputs, labels: Tensor, counts: Tensor, moment: Moment) -> Tensor:
        plain = nn.functional.cross_entropy(outputs.logits, labels, reduction="none")
        return plain + 0.01 * moment.progress * outputs.features.square().sum(2).mean(0)


class Levels(Augment, frozen=True):
    """Darkens the images of a class by what was right on darkened images."""

    name = "levels"

    def remembers(self, features: int, classes: int, counts: Tensor, generator: Any) -> dict[str, Tensor]:
        return {"dark": torch.zeros(classes)}

    def apply(self, images: Tensor, generator: Any) -> Tensor:
        raise AssertionError("apply_to is called")

    def apply_to(self, images: Tensor, told: Told, generator: Any) -> Tensor:
        dark = told.state["dark"][told.labels].view(-1, 1, 1, 1)
        return images * (1 - dark * torch.rand(len(images), 1, 1, 1, generator=generator))

    def probe(self, predict: Any, images: Tensor, labels: Tensor, state: Any, moment: Moment, generator: Any) -> Any:
        picked = torch.randperm(len(images), generator=generator)[:20]
        logits = predict(images[picked].float() / 255 * (1 - state["dark"][labels[picked]].view(-1, 1, 1, 1)))
        right = (logits.argmax(1) == labels[picked]).float()
        return {"dark": state["dark"] + 0.1 * torch.zeros_like(state["dark"]).index_add_(0, labels[picked], right) / 20}


class Inside(Mix, frozen=True):
    """Averages each image, or map inside the network, with the next one."""

    name = "inside"
    where = "hidden"

    def mix(self, images: Tensor, labels: Tensor, counts: Tensor, generator: Any) -> Mixed:
        lam = torch.rand(len(images), generator=generator)
        share = lam.view(-1, *[1] * (images.dim() - 1))
        return Mixed(
            images=share * images + (1 - share) * images.roll(1, 0), labels_a=labels, labels_b=labels.roll(1), lam=lam
        )


MORE: tuple[type[Technique], ...] = (Blocks, Pair, Doubled, Twice, Halves, Centre, Focused, Levels, Inside)


def job_of(*segments: Spec, recipe: Spec | None = None, parents: Sequence[str] = (), **network: Technique) -> Job:
    """Return the job of a fit of `Blocks`. network: head, branches."""
    world = World(*MORE)
    job = fit_job(*segments, recipe=recipe, parents=parents, model=Blocks())
    spec = job.spec | {stage: world.spec(technique) for stage, technique in network.items()}
    for segment in spec["segments"]:
        if (auxiliary := segment.get("auxiliary")) and auxiliary["name"] == "centre":
            segment["views"] = [None, segment["augment"] or world.spec(PLAIN["augment"])]
    return Job(key=identity(spec), kind="fit", spec=spec, parents=tuple(parents), keep_state=True)
