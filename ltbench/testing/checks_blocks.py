"""A check of the blocks that a model names."""

from __future__ import annotations

from ltbench.testing.check import per_setting
from ltbench.testing.finding import Skip
from ltbench.testing.inputs import Inputs
from ltbench.testing.stage_calls import build
from ltbench.testing.subject import Subject, failed


@per_setting
def blocks_make_the_features(on: Subject) -> None:
    """With `has_blocks`, the blocks one after the other make the features, and `forward_head` makes the logits of them.

    Branches copy the last blocks, and a mix inside the network blends the output of one.
    """
    import torch

    if not on.technique.has_blocks:
        raise Skip("has_blocks is False")
    network = build(on.technique, 3, 32, 10).eval()
    for method in ("blocks", "forward_features", "forward_head"):
        if not callable(getattr(network, method, None)):
            raise failed(f"has_blocks is True, and the network has no {method}()", "that method", "see Model.build")
    blocks, images = list(network.blocks()), torch.as_tensor(Inputs().images(2, 3, 32)) / 255
    if not blocks:
        raise failed("blocks() returns no module", "at least one", "remove has_blocks")
    with torch.no_grad():
        maps = images
        for block in blocks:
            maps = block(maps)
        logits, features = network(images), network.forward_features(images)
        same = maps.shape == features.shape and torch.allclose(maps, features, atol=1e-5)
        if not (same and torch.allclose(network.forward_head(maps), logits, atol=1e-5)):
            what = "the logits that forward_head makes" if same else "the features that the blocks make"
            raise failed(f"{what} differ from those of the network", "the same", "every layer in one block, in order")
        rows = network.forward_head(maps, pre_logits=True)
        if not torch.allclose(network.get_classifier()(rows), logits, atol=1e-5):
            raise failed(
                "forward_head(maps, pre_logits=True) is not what the classifier is given", "the input of the classifier",
                "return it before the last layer",
            )  # fmt: skip


MODEL = (blocks_make_the_features,)
