"""Checks of models, losses and class weights."""

from __future__ import annotations

import math
from typing import Any

from ltbench.testing.check import per_setting, per_technique
from ltbench.testing.finding import Skip
from ltbench.testing.inputs import BATCH, Inputs, with_rare
from ltbench.testing.loss_trial import branches_for, losses_of
from ltbench.testing.network_outputs import LATER, START, rows_of
from ltbench.testing.stage_calls import build
from ltbench.testing.subject import Subject, failed

# --- models -----------------------------------------------------------------------------------------------------


@per_setting
def network_returns_logits(on: Subject) -> None:
    """The network takes grey and colour images and returns logits float [B, classes], in training, too.

    `build` gets channels, size and classes of the data set. Several classifiers are a matter of the stage branches.
    """
    import torch

    from ltbench.engine.output_checks import check_tensor

    for channels, size, classes in ((3, 32, 10), (1, 28, 7)):
        network = build(on.technique, channels, size, classes)
        for training in (False, True):
            with torch.no_grad(), torch.random.fork_rng(devices=[]):
                logits = network.train(training)(torch.zeros(2, channels, size, size))
            where = f"of {channels} channels {'in training ' if training else ''}logits"
            check_tensor(on.technique, where, logits, torch.float32, [2, classes])


@per_setting
def network_has_a_classifier(on: Subject) -> None:
    """The network has timm's `get_classifier()`, the layer that computes the logits.

    A regime that freezes the backbone trains only that layer.
    """
    import torch

    from ltbench.engine.network import set_trainable

    network = build(on.technique, 3, 32, 10)
    set_trainable(on.technique, network, "classifier")
    head = network.get_classifier()
    inside = {id(parameter) for parameter in network.parameters()}
    if not all(id(parameter) in inside for parameter in head.parameters()):
        raise failed("get_classifier() is not part of the network", "its last layer", "return self.classifier")
    logits = network(torch.zeros(2, 3, 32, 32))
    if not logits.requires_grad:
        raise failed(
            "the logits do not depend on get_classifier()", "the layer that computes them", "return that layer"
        )


@per_technique
def network_gets_gradients(on: Subject) -> None:
    """Every trainable parameter of the network gets a finite gradient, and some gradient is not zero.

    A layer without a gradient does not learn.
    """
    import torch

    network = build(on.technique, 3, 32, 10).train()
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng(devices=[]):
        torch.nn.functional.cross_entropy(network(images), torch.arange(4)).backward()  # type: ignore[no-untyped-call]
    reached = {name: p.grad for name, p in network.named_parameters() if p.requires_grad}
    unreached = [name for name, grad in reached.items() if grad is None]
    if unreached or not reached:
        raise failed(
            f"no gradient reaches {', '.join(unreached[:3]) or 'anything: there are no trainable parameters'}",
            "a gradient for every parameter", "use every layer in forward, without detach() or no_grad()",
        )  # fmt: skip
    if not all(bool(grad.isfinite().all()) for grad in reached.values() if grad is not None):
        raise failed(
            "a gradient is not finite", "finite gradients", "check for divisions by zero and logarithms of zero"
        )
    if not any(bool(grad.any()) for grad in reached.values() if grad is not None):
        raise failed("every gradient is zero", "a non-zero gradient", "return plain logits")


@per_setting
def normalisation_fits_the_channels(on: Subject) -> None:
    """`mean_std` returns None, or a mean and a positive standard deviation per channel, for pixels in [0, 1].

    The harness normalises the images of the network with them.
    """
    for channels in (1, 3):
        pair = on.technique.mean_std(channels)
        if pair is None:
            continue
        valid = len(pair) == 2 and all(len(part) == channels for part in pair) and min(pair[1]) > 0
        if not valid or max(max(part) for part in pair) > 1:
            raise failed(
                f"mean_std({channels}) is {pair!r}", f"two tuples of {channels} numbers up to 1, with positive deviations",
                "return (0.5,) * channels, (0.5,) * channels",
            )  # fmt: skip


MODEL = (
    network_returns_logits, network_has_a_classifier, network_gets_gradients, normalisation_fits_the_channels,
)  # fmt: skip

# --- losses -----------------------------------------------------------------------------------------------------


@per_setting
def losses_are_per_sample(on: Subject) -> None:
    """`per_sample` or `of` returns float [B] in the dtype of the logits.

    The harness multiplies it by class weights and by the lambdas of a mix.
    """
    from ltbench.engine.output_checks import check_tensor

    outputs, _, losses = losses_of(on.technique, Inputs())
    check_tensor(on.technique, "losses", losses, outputs.logits.dtype, [BATCH])


@per_setting
def losses_do_not_depend_on_the_batch(on: Subject) -> None:
    """The loss of a sample does not depend on the rest of its batch.

    Otherwise its class weight and lambda would also weight other samples.
    """
    import torch

    inputs = Inputs()
    outputs, _, losses = losses_of(on.technique, inputs)
    counts, labels = torch.as_tensor(inputs.class_counts), torch.as_tensor(inputs.batch_labels)
    some = torch.arange(0, BATCH, 3)
    alone = on.technique.of(rows_of(outputs, some), labels[some], counts, START)
    if not torch.allclose(losses[some], alone, rtol=1e-4, atol=1e-5):
        raise failed(
            "the loss of a sample depends on the rest of its batch", "no dependence",
            "do not average over the batch; the harness does",
        )  # fmt: skip


@per_setting
def losses_are_finite_for_rare_classes(on: Subject) -> None:
    """Losses and gradients are finite for classes with a single training image or none.

    The rarest class of a long tail may have one image, and a bag of an ensemble may lack a class.
    """
    _check_finite(on, Inputs(counts=with_rare()), 1.0, "with class counts that end with 1 and 0", "counts.clamp(min=1)")


@per_setting
def losses_are_finite_for_large_logits(on: Subject) -> None:
    """Losses and gradients are finite for logits of magnitude up to 10,000.

    Networks reach large logits in the first steps at a high learning rate; a single inf ends the training.
    """
    for size in (50.0, 5000.0):
        _check_finite(
            on, Inputs(), size, f"with logits of about {size:g}", "use log_softmax instead of softmax and log"
        )


def _check_finite(on: Subject, inputs: Inputs, size: float, where: str, fix: str) -> None:
    for moment in (START, *LATER):
        _, leaves, losses = losses_of(on.technique, inputs, size=size, moment=moment)
        if losses.requires_grad:
            losses.sum().backward()
        for what, values in (("a loss", losses), *(("a gradient", leaf.grad) for leaf in leaves)):
            if values is not None and not bool(values.isfinite().all()):
                first = values[~values.isfinite()][0].item()
                raise failed(f"{what} is {first} {where}", "finite values", fix)


@per_setting
def losses_have_a_gradient(on: Subject) -> None:
    """The losses have a non-zero gradient with respect to logits or features.

    Otherwise the network learns nothing.
    """
    fix = "do not use detach(), item(), argmax or no_grad() between logits and losses"
    outputs, leaves, losses = losses_of(on.technique, Inputs())
    if not losses.requires_grad:
        raise failed("the losses have no gradient", "a gradient with respect to the logits", fix)
    losses.sum().backward()
    if not any(_gets_gradient(leaves, branch) for branch in range(len(outputs.branches))):
        raise failed("the gradient of the losses is zero", "a non-zero gradient", fix)


def _gets_gradient(leaves: tuple[Any, Any], branch: int) -> bool:
    """Whether logits or features of a branch have a gradient."""
    return any(leaf.grad is not None and bool(leaf.grad[branch].any()) for leaf in leaves)


@per_setting
def losses_reach_every_branch(on: Subject) -> None:
    """With several branches, each gets a gradient from the losses at some point of the training.

    A branch without a gradient keeps its initial weights, and is still merged into every prediction.
    """
    inputs = Inputs()
    number = max(branches_for(on.technique, inputs), 2)
    reached = set()
    for moment in (START, *LATER):
        outputs, leaves, losses = losses_of(on.technique, inputs, branches=number, moment=moment)
        if not losses.requires_grad:
            raise Skip("the losses have no gradient")
        losses.sum().backward()
        reached |= {branch for branch in range(len(outputs.branches)) if _gets_gradient(leaves, branch)}
    if reached and (missing := sorted(set(range(number)) - reached)):
        raise failed(
            f"branch {missing[0] + 1} of {number} gets no gradient from the losses", "a gradient for every branch",
            "use all of outputs.branches, float [E, B, C], not the first ones",
        )  # fmt: skip


LOSS = (
    losses_are_per_sample, losses_do_not_depend_on_the_batch, losses_have_a_gradient, losses_reach_every_branch,
    losses_are_finite_for_rare_classes, losses_are_finite_for_large_logits,
)  # fmt: skip

# --- weights ----------------------------------------------------------------------------------------------------


@per_setting
def weights_are_per_class(on: Subject) -> None:
    """`weights` returns float [C].

    The harness looks up the weight of a sample by its label.
    """
    from ltbench.engine.output_checks import check_tensor

    inputs = Inputs()
    check_tensor(
        on.technique,
        "weights",
        on.technique.weights(inputs.tensor("counts", inputs.class_counts)),
        None,
        [inputs.classes],
    )


@per_setting
def weights_are_positive_and_finite(on: Subject) -> None:
    """Every weight is positive and finite, also for classes with a single image or none.

    A class with weight zero is not learnt, and an infinite weight ends the training.
    """
    inputs = Inputs(counts=with_rare())
    weights = on.technique.weights(inputs.tensor("counts", inputs.class_counts))
    if weights.dim() != 1:
        raise Skip("weights does not return one weight per class")
    for count, value in zip(inputs.counts, weights.tolist(), strict=True):
        if not (math.isfinite(value) and value > 0):
            raise failed(
                f"the weight of a class with {count} images is {value:g}", "positive and finite", "counts.clamp(min=1)"
            )


@per_setting
def batch_loss_is_a_scalar(on: Subject) -> None:
    """`reduce` returns a finite scalar with a gradient.

    The training step minimises it.
    """
    from ltbench.engine.output_checks import check_tensor

    weight = on.technique
    inputs = Inputs()
    weights = weight.weights(inputs.tensor("counts", inputs.class_counts))[inputs.tensor("labels", inputs.batch_labels)]
    losses = inputs.tensor("losses", inputs.rng(4).random(BATCH).astype("float32")).requires_grad_()
    reduced = check_tensor(weight, "a reduced loss", weight.reduce(losses, weights), None, [])
    if not (bool(reduced.isfinite()) and reduced.requires_grad):
        raise failed(f"reduce returned {reduced.item()}", "a finite scalar with a gradient", "losses.mean()")


WEIGHT = (weights_are_per_class, weights_are_positive_and_finite, batch_loss_is_a_scalar)
