"""Checks of what a model says about building its network for weights that are there already."""

from __future__ import annotations

from ltbench.stages import Model, TimmNetwork
from ltbench.testing.check import per_setting
from ltbench.testing.finding import Skip
from ltbench.testing.inputs import Inputs
from ltbench.testing.stage_calls import build
from ltbench.testing.subject import Subject, failed

_SHAPE = 3, 32, 10
"""Channels, size and classes"""


@per_setting
def rebuilt_network_takes_the_weights(on: Subject) -> None:
    """`rebuild` returns a network with the parameters and buffers of `build`, which gives the same logits with its weights.

    Predictions and exported models build the network again and read the trained weights into it.
    """
    import torch

    if type(on.technique).rebuild is Model.rebuild:
        raise Skip("rebuild is not overridden")
    network, again = build(on.technique, *_SHAPE).eval(), on.technique.rebuild(*_SHAPE)
    names, found = ({name: tuple(value.shape) for name, value in one.state_dict().items()} for one in (network, again))
    if names != found:
        unlike = sorted(name for name in {*names, *found} if names.get(name) != found.get(name))
        raise failed(
            f"rebuild() and build() differ in {unlike[0]}: {found.get(unlike[0])} and {names.get(unlike[0])}",
            "the same names and shapes in both state dicts",
            "leave out only pretrained weights",
        )
    again.load_state_dict(network.state_dict())
    images = torch.as_tensor(Inputs().images(2, 3, 32)) / 255
    with torch.no_grad():
        if not torch.allclose(again.eval()(images), network(images), atol=1e-5):
            raise failed(
                "the rebuilt network gives other logits", "the same logits with the same weights", "as build()"
            )


@per_setting
def timm_builds_the_network_that_is_named(on: Subject) -> None:
    """With `in_timm`, `timm.create_model` builds a network that takes the same weights and gives the same logits.

    The card of an exported model tells its readers to load the weights like that.
    """
    import torch

    from ltbench.engine.model_graph import timm_prefix

    made: object = on.technique.in_timm(*_SHAPE)
    if made is None:
        raise Skip("in_timm returns None")
    if not isinstance(made, TimmNetwork):
        raise failed(f"in_timm() returns {type(made).__name__}", "a TimmNetwork or None", "see Model.in_timm")
    images = torch.as_tensor(Inputs().images(2, 3, 32)) / 255
    if timm_prefix(build(on.technique, *_SHAPE).eval(), made, images) is None:
        raise failed(
            f"timm.create_model('{made.name}') with these arguments is another network",
            "one that takes the weights and gives the logits of build()",
            "return None, or name the network that build() makes",
        )


MODEL = (rebuilt_network_takes_the_weights, timm_builds_the_network_that_is_named)
