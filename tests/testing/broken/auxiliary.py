"""Broken auxiliaries."""

from __future__ import annotations

from testing.broken.marks import breaks

from ltbench import Auxiliary


class Sound(Auxiliary, frozen=True):
    """Pull projections to those of a moving average and away from their mean. Source: none."""

    name = "sound_auxiliary"
    momentum = 0.9

    @property
    def views(self):
        return ("", "flip")

    def learns(self, features, classes, counts):
        from torch import nn

        return nn.Linear(features, 4)

    def remembers(self, features, classes, counts, generator):
        import torch

        return {"mean": torch.randn(4, generator=generator)}

    def term(self, views, labels, counts, moment):
        rows, slow = views[0].own(views[0].features), views[1].slow
        return ((rows - slow.own(slow.features)) ** 2).mean() + (rows * views[0].state["mean"]).mean()

    def after_step(self, outputs, batch, network, state):
        rows = outputs.own(outputs.views[0].features)
        return {"mean": 0.9 * state["mean"] + 0.1 * rows.mean((0, 1))}


@breaks("term_is_a_finite_scalar", Sound, "term")
def infinite_for_one_class(self, views, labels, counts, moment):
    """Take the logarithm of the share of the other classes."""
    return Sound.term(self, views, labels, counts, moment) - (labels != labels[0]).float().mean().log()


@breaks("term_is_a_finite_scalar", Sound, "term")
def of_each_sample(self, views, labels, counts, moment):
    """Leave the mean over the batch to the harness."""
    return Sound.term(self, views, labels, counts, moment) + views[0].features.square().mean((0, 2))


@breaks("gradients_reach_the_network", Sound, "term")
def detached(self, views, labels, counts, moment):
    """Train the projection alone."""
    rows, slow = views[0].own(views[0].features.detach()), views[1].slow
    return ((rows - slow.own(slow.features)) ** 2).mean() + (rows * views[0].state["mean"]).mean()


@breaks("what_it_learns_gets_gradients", Sound, "learns")
def unused_layer(self, features, classes, counts):
    """Have a layer that nothing goes through."""
    module = Sound.learns(self, features, classes, counts)
    module.unused = type(module)(3, 3)
    return module


@breaks("what_it_learns_gets_gradients", Sound, "term")
def fixed_projection(self, views, labels, counts, moment):
    """Project with weights that it does not train, but for a factor of zero."""
    import torch

    own, slow = views[0].own, views[1].slow
    rows = torch.nn.functional.linear(views[0].features, own.weight.detach(), own.bias.detach())
    rest = 0 * own.weight.sum() + 0 * own.bias.sum()
    return ((rows - slow.own(slow.features)) ** 2).mean() + (rows * views[0].state["mean"]).mean() + rest


@breaks("views_are_augmentations")
class MisspeltView(Sound, frozen=True):
    """Ask for an augmentation that there is not. Source: none."""

    name = "misspelt_view"

    @property
    def views(self):
        return ("", "flipp")


@breaks("views_are_augmentations")
class ViewOfAnotherStage(Sound, frozen=True):
    """Ask for a mix as a view. Source: none."""

    name = "view_of_another_stage"

    @property
    def views(self):
        return ("", "mixup")


@breaks("what_it_replaces_conflicts")
class ReplacesInSecret(Sound, frozen=True):
    """Replace the loss, and go with all of them. Source: none."""

    name = "replaces_in_secret"
    replaces_loss = True
    conflicts = {"loss": "the term is the whole objective"}


@breaks("every_view_is_used", Sound, "term")
def one_view(self, views, labels, counts, moment):
    """Ignore the second view."""
    return Sound.term(self, [views[0], views[0]], labels, counts, moment)


@breaks("moving_average_is_used", Sound, "term")
def fast_alone(self, views, labels, counts, moment):
    """Ask for a moving average and compare the views without it."""
    rows, others = (view.own(view.features) for view in views)
    return ((rows - others) ** 2).mean() + (rows * views[0].state["mean"]).mean()


@breaks("moving_average_is_used")
class KeysOfNobody(Auxiliary, frozen=True):
    """Have a view for a moving average that it does not ask for. Source: none."""

    name = "keys_of_nobody"
    slow_only = (1,)

    def term(self, views, labels, counts, moment):
        return views[0].features.square().mean()


@breaks("teacher_is_used")
class Unteachable(Sound, frozen=True):
    """Name a teacher and do not listen. Source: none."""

    name = "unteachable"
    teacher = "focal"


@breaks("teacher_is_used")
class LooksAway(Sound, frozen=True):
    """Name a teacher with a view of its own. Source: none."""

    name = "looks_away"
    teacher = "focal,tta"

    def term(self, views, labels, counts, moment):
        return Sound.term(self, views, labels, counts, moment) + (views[0].logits - views[0].teacher).square().mean()


@breaks("state_is_used", Sound, "term")
def forgetful(self, views, labels, counts, moment):
    """Keep a mean that it does not use."""
    rows, slow = views[0].own(views[0].features), views[1].slow
    return ((rows - slow.own(slow.features)) ** 2).mean()


@breaks("state_keeps_its_shape", Sound, "after_step")
def wider(self, outputs, batch, network, state):
    """Return another dtype than at the start."""
    return {"mean": Sound.after_step(self, outputs, batch, network, state)["mean"].double()}


@breaks("resumes_from_its_state", Sound, "term")
def counter_in_the_module(self, views, labels, counts, moment):
    """Count its calls in an attribute of the module that snapshots do not have."""
    own = views[0].own
    own.calls = getattr(own, "calls", 0) + 1
    return own.calls * Sound.term(self, views, labels, counts, moment)
