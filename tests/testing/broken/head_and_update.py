"""Broken heads and updates."""

from __future__ import annotations

from testing.broken.marks import breaks

from ltbench import Head, Update


class SoundHead(Head, frozen=True):
    """A linear layer. Source: none."""

    name = "sound_head"

    def build(self, features, classes, counts):
        from torch import nn

        return nn.Linear(features, classes)


@breaks("head_returns_logits", SoundHead, "build")
def one_logit_too_many(self, features, classes, counts):
    """Have a class for everything else."""
    return SoundHead.build(self, features, classes + 1, counts)


@breaks("head_returns_logits", SoundHead, "build")
def divides_by_the_norm(self, features, classes, counts):
    """Normalise features without a bound."""
    from torch import nn

    class Layer(nn.Linear):
        def forward(self, rows):
            return super().forward(rows / rows.norm(dim=1, keepdim=True))

    return Layer(features, classes)


@breaks("features_get_a_gradient", SoundHead, "build")
def stops_the_gradient(self, features, classes, counts):
    """Train the head alone."""
    from torch import nn

    class Layer(nn.Linear):
        def forward(self, rows):
            return super().forward(rows.detach())

    return Layer(features, classes)


@breaks("features_get_a_gradient", SoundHead, "build")
def has_an_unused_scale(self, features, classes, counts):
    """Have a scale that no logit depends on."""
    import torch

    layer = SoundHead.build(self, features, classes, counts)
    layer.scale = torch.nn.Parameter(torch.ones(classes))
    return layer


class SoundUpdate(Update, frozen=True):
    """A plain step. Source: none."""

    name = "sound_update"

    def step(self, closure, optimizer, labels, counts, moment):
        closure()
        optimizer.step()


@breaks("step_lowers_a_loss", SoundUpdate, "step")
def climbs(self, closure, optimizer, labels, counts, moment):
    """Step against the gradient of the loss."""
    closure()
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad.neg_()
    optimizer.step()


@breaks("passes_are_as_stated", SoundUpdate, "step")
def looks_twice(self, closure, optimizer, labels, counts, moment):
    """Compute the gradient twice and count it once."""
    closure()
    closure()
    optimizer.step()


@breaks("passes_are_as_stated", SoundUpdate, "step")
def reuses_gradients(self, closure, optimizer, labels, counts, moment):
    """Compute a gradient in every second step."""
    if moment.step % 2 == 0:
        closure()
    optimizer.step()


GRADIENTS: dict[int, list] = {}


@breaks("resumes_from_the_optimizer", SoundUpdate, "step")
def averages_in_secret(self, closure, optimizer, labels, counts, moment):
    """Add the gradient of the step before, which it keeps by itself."""
    closure()
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    now = [parameter.grad.clone() for parameter in parameters]
    if moment.step:
        for parameter, before in zip(parameters, GRADIENTS.get(id(optimizer), now), strict=True):
            parameter.grad.add_(before)
    GRADIENTS[id(optimizer)] = now
    optimizer.step()


class KeepsInTheOptimizer(SoundUpdate, frozen=True):
    """Add the gradient of the step before, which snapshots have. Source: none."""

    name = "keeps_in_the_optimizer"

    def step(self, closure, optimizer, labels, counts, moment):
        closure()
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                now, state = parameter.grad.clone(), optimizer.state[parameter]
                parameter.grad.add_(state.get("before", now))
                state["before"] = now
        optimizer.step()


@breaks("step_without_a_gradient_stays_finite", SoundUpdate, "step")
def normalises(self, closure, optimizer, labels, counts, moment):
    """Divide the gradient by its norm."""
    closure()
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad.div_(parameter.grad.norm())
    optimizer.step()
