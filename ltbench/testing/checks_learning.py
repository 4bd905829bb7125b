"""What models, losses, class weights and regimes have to hold."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

from ltbench.stages import Phase
from ltbench.testing.ask_everything import build
from ltbench.testing.check import per_setting, per_technique
from ltbench.testing.finding import Skip
from ltbench.testing.inputs import BATCH, World, with_rare
from ltbench.testing.subject import Subject, failed

# --- models -----------------------------------------------------------------------------------------------------


@per_setting
def the_network_returns_logits(on: Subject) -> None:
    """Its network takes grey and coloured images and returns logits float [B, classes].

    What a data set has is handed to `build`: channels, size and classes.
    """
    import torch

    from ltbench.engine.output_checks import check_tensor

    model: Any = on.technique
    for channels, size, classes in ((3, 32, 10), (1, 28, 7)):
        network = build(model, channels, size, classes).eval()
        with torch.no_grad():
            logits = network(torch.zeros(2, channels, size, size))
        check_tensor(model, f"of {channels} channels logits", logits, torch.float32, [2, classes])


@per_setting
def the_network_has_a_classifier(on: Subject) -> None:
    """Its network has timm's `get_classifier()`, a layer with parameters that makes the logits.

    A regime that freezes the backbone trains that layer alone.
    """
    import torch

    from ltbench.engine.network import set_trainable

    model: Any = on.technique
    network = build(model, 3, 32, 10)
    set_trainable(model, network, "classifier")
    head = network.get_classifier()
    inside = {id(parameter) for parameter in network.parameters()}
    if not all(id(parameter) in inside for parameter in head.parameters()):
        raise failed("get_classifier() is no part of the network", "its last layer", "return self.classifier")
    logits = network(torch.zeros(2, 3, 32, 32))
    if not logits.requires_grad:
        raise failed("the logits do not depend on get_classifier()", "the layer that makes them", "return that layer")


@per_technique
def the_network_learns(on: Subject) -> None:
    """Every trainable parameter of its network gets a finite gradient, and some is not zero.

    A layer that no loss reaches costs time and learns nothing.
    """
    import torch

    network = build(on.technique, 3, 32, 10).train()  # type: ignore[arg-type]
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng(devices=[]):
        torch.nn.functional.cross_entropy(network(images), torch.arange(4)).backward()  # type: ignore[no-untyped-call]
    reached = {name: p.grad for name, p in network.named_parameters() if p.requires_grad}
    unreached = [name for name, grad in reached.items() if grad is None]
    if unreached or not reached:
        raise failed(
            f"no gradient reaches {', '.join(unreached[:3]) or 'anything: there is nothing to learn'}",
            "one for every parameter", "use every layer in forward, without detach() or no_grad()",
        )  # fmt: skip
    if not all(bool(grad.isfinite().all()) for grad in reached.values() if grad is not None):
        raise failed("some gradient is not finite", "finite ones", "look for divisions and logarithms of zero")
    if not any(bool(grad.any()) for grad in reached.values() if grad is not None):
        raise failed("every gradient is zero", "one that is not", "return logits as they are")


@per_setting
def normalisation_fits_the_channels(on: Subject) -> None:
    """`mean_std` is None, or has a mean and a positive deviation for each channel, of pixels in [0, 1].

    Images are normalised with them before the network sees any.
    """
    model: Any = on.technique
    for channels in (1, 3):
        found = model.mean_std(channels)
        if found is None:
            continue
        fine = len(found) == 2 and all(len(part) == channels for part in found) and min(found[1]) > 0
        if not fine or max(max(part) for part in found) > 1:
            raise failed(
                f"mean_std({channels}) is {found!r}", f"two tuples of {channels} numbers up to 1, deviations over 0",
                "return (0.5,) * channels, (0.5,) * channels",
            )  # fmt: skip


MODEL = (
    the_network_returns_logits, the_network_has_a_classifier, the_network_learns, normalisation_fits_the_channels,
)  # fmt: skip

# --- losses -----------------------------------------------------------------------------------------------------


def _losses(on: Subject, world: World, *, size: float = 1.0) -> tuple[Any, Any]:
    """Return logits, float32 [B, C] with gradient, and the losses of a batch in which every class may be."""
    loss: Any = on.technique
    logits = world.tensor("logits", (size * world.logits()).astype("float32")).requires_grad_()
    labels = world.tensor("labels", world.batch_labels)
    # A network's logits are no leaves of the graph: what changes them in place must not raise here.
    return logits, loss.per_sample(logits * 1, labels, world.tensor("counts", world.class_counts))


@per_setting
def there_is_a_loss_for_each_sample(on: Subject) -> None:
    """`per_sample` returns float [B] in the dtype of the logits.

    Class weights and the lambdas of a mix are multiplied onto it.
    """
    from ltbench.engine.output_checks import check_tensor

    logits, losses = _losses(on, World())
    check_tensor(on.technique, "losses", losses, logits.dtype, [BATCH])


@per_setting
def a_loss_is_of_its_sample_alone(on: Subject) -> None:
    """The loss of a sample does not depend on what else is in its batch.

    Otherwise class weights and lambdas, which are multiplied onto it, weigh other samples, too.
    """
    import torch

    loss: Any = on.technique
    world = World()
    logits, losses = _losses(on, world)
    counts, labels = torch.as_tensor(world.class_counts), torch.as_tensor(world.batch_labels)
    some = torch.arange(0, BATCH, 3)
    alone = loss.per_sample(logits[some], labels[some], counts)
    if not torch.allclose(losses[some], alone, rtol=1e-4, atol=1e-5):
        raise failed(
            "the loss of a sample changes with the rest of its batch", "the same in any batch",
            "leave means over the batch to the harness",
        )  # fmt: skip


@per_setting
def losses_are_finite_for_rare_classes(on: Subject) -> None:
    """Losses and gradients are finite where a class has a single training image, or none.

    The rarest class of a long tail has one, and a bag of an ensemble may lack a class.
    """
    _demand_finite(on, World(counts=with_rare()), 1.0, "with class counts that end with 1 and 0", "counts.clamp(min=1)")


@per_setting
def losses_are_finite_for_large_logits(on: Subject) -> None:
    """Losses and gradients are finite for logits up to 10,000 in size.

    Networks reach large logits in the first steps at a high learning rate; one inf ends the training.
    """
    for size in (50.0, 5000.0):
        _demand_finite(on, World(), size, f"with logits of about {size:g}", "log_softmax in place of softmax and log")


def _demand_finite(on: Subject, world: World, size: float, where: str, fix: str) -> None:
    logits, losses = _losses(on, world, size=size)
    if losses.requires_grad:
        losses.sum().backward()
    for what, values in (("a loss", losses), ("a gradient", logits.grad)):
        if values is not None and not bool(values.isfinite().all()):
            odd = values[~values.isfinite()][0].item()
            raise failed(f"{what} is {odd} {where}", "finite ones", fix)


@per_setting
def losses_have_a_gradient(on: Subject) -> None:
    """The losses have a gradient with respect to the logits that is not zero.

    Otherwise nothing is learnt.
    """
    fix = "no detach(), no item(), no argmax, no no_grad() between logits and losses"
    logits, losses = _losses(on, World())
    if not losses.requires_grad:
        raise failed("the losses have no gradient", "one with respect to the logits", fix)
    losses.sum().backward()
    if logits.grad is None or not bool(logits.grad.any()):
        raise failed("the gradient of the losses is zero", "one that is not", fix)


LOSS = (
    there_is_a_loss_for_each_sample, a_loss_is_of_its_sample_alone, losses_have_a_gradient,
    losses_are_finite_for_rare_classes, losses_are_finite_for_large_logits,
)  # fmt: skip

# --- weights ----------------------------------------------------------------------------------------------------


@per_setting
def there_is_a_weight_for_each_class(on: Subject) -> None:
    """`weights` returns float [C].

    The weight of a sample is looked up by its label.
    """
    from ltbench.engine.output_checks import check_tensor

    weight: Any = on.technique
    world = World()
    check_tensor(weight, "weights", weight.weights(world.tensor("counts", world.class_counts)), None, [world.classes])


@per_setting
def weights_are_positive_and_finite(on: Subject) -> None:
    """Every weight is finite and over zero, also of a class with a single image, or none.

    A class of weight zero is not learnt, and one infinite weight ends the training.
    """
    weight: Any = on.technique
    world = World(counts=with_rare())
    weights = weight.weights(world.tensor("counts", world.class_counts))
    if weights.dim() != 1:
        raise Skip("it has not one weight for each class")
    for count, value in zip(world.counts, weights.tolist(), strict=True):
        if not (math.isfinite(value) and value > 0):
            raise failed(
                f"the weight of a class with {count} images is {value:g}", "over 0 and finite", "counts.clamp(min=1)"
            )


@per_setting
def the_loss_of_a_batch_is_one_number(on: Subject) -> None:
    """`reduce` returns one finite number with a gradient.

    It is what the training step goes down.
    """
    from ltbench.engine.output_checks import check_tensor

    weight: Any = on.technique
    world = World()
    weights = weight.weights(world.tensor("counts", world.class_counts))[world.tensor("labels", world.batch_labels)]
    losses = world.tensor("losses", world.rng(4).random(BATCH).astype("float32")).requires_grad_()
    reduced = check_tensor(weight, "a reduced loss", weight.reduce(losses, weights), None, [])
    if not (bool(reduced.isfinite()) and reduced.requires_grad):
        raise failed(f"reduce returned {reduced.item()}", "a finite number with a gradient", "losses.mean()")


WEIGHT = (there_is_a_weight_for_each_class, weights_are_positive_and_finite, the_loss_of_a_batch_is_one_number)

# --- regimes ----------------------------------------------------------------------------------------------------


@per_setting
def phases_follow_one_another_to_the_end(on: Subject) -> None:
    """Phases end one after another, each with `until` in (0, 1], and the last one at 1.

    A phase goes on to its `until`, a share of the whole training.
    """
    regime: Any = on.technique
    phases = list(regime.phases())
    fix = "return [Phase(until=0.8), Phase(until=1.0)]"
    if not phases or not all(isinstance(phase, Phase) for phase in phases):
        raise failed(f"phases() returned {phases!r}", "one Phase or more", fix)
    ends = [phase.until for phase in phases]
    if not (ends[-1] == 1 and all(0 < end <= 1 for end in ends)):
        raise failed(f"phases end at {ends}", "the last one at 1, others between 0 and 1", fix)
    if any(after <= before for before, after in pairwise(ends)):
        raise failed(f"phases end at {ends}", "each later than the one before it", fix)


@per_setting
def learning_rates_are_positive(on: Subject) -> None:
    """The factor on the learning rate is over zero and finite in every phase.

    A phase without a learning rate trains nothing.
    """
    regime: Any = on.technique
    for phase in regime.phases():
        if not (math.isfinite(phase.lr_scale) and phase.lr_scale > 0):
            raise failed(f"lr_scale is {phase.lr_scale}", "a factor over 0", "lr_scale=0.1")


REGIME = (phases_follow_one_another_to_the_end, learning_rates_are_positive)
