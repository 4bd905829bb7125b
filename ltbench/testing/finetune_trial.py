"""A small network that a fine-tuning adapts and trains, as a job does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from ltbench.errors import LtbenchError
from ltbench.stages import Finetune
from ltbench.testing.inputs import BATCH, Inputs

if TYPE_CHECKING:
    from torch import Tensor, nn

PIXELS = 8
STEPS = 2
LR, DECAY = 0.1, 0.01


class FinetuneTrial:
    """A network of the kit, adapted: a transformer of timm, or a convolutional network for what cannot adapt that one."""

    def __init__(self, technique: Finetune, inputs: Inputs) -> None:
        """Raises the error for the transformer if no network can be adapted."""
        from ltbench.engine.parameter_groups import ParameterRules

        self.technique, self.inputs = technique, inputs
        self.images: Tensor = inputs.tensor(
            "images", inputs.rng(2).standard_normal((BATCH, 3, PIXELS, PIXELS)).astype("float32"), on_cpu=True
        )
        self.labels: Tensor = inputs.tensor("labels", inputs.batch_labels, on_cpu=True)
        self.rules = ParameterRules()
        self.network = self._adapted()
        self.before = {name: value.clone() for name, value in self.network.state_dict().items()}
        """The state of the network before training."""

    def build(self) -> nn.Module:
        """Return another network, adapted in the same way."""
        return FinetuneTrial(self.technique, Inputs(self.inputs.classes)).network

    def initialise(self) -> None:
        """Let the technique set initial weights."""
        import torch

        from ltbench.engine.modules import evaluating

        with evaluating(self.network), torch.no_grad():
            self.technique.initialise(self.network, [(self.images, self.labels)])

    def train(self) -> None:
        """Train for a few steps with weight decay."""
        import torch

        from ltbench.engine.optimizer import make_optimizer, set_learning_rate
        from ltbench.suite.recipe import Recipe

        recipe = Recipe(steps=STEPS, batch_size=BATCH, lr=LR, weight_decay=DECAY).resolved()
        self.network.train().requires_grad_(requires_grad=True)
        self.rules.restrict(self.network)
        optimizer = make_optimizer(recipe, self.network.parameters(), self.rules)
        for _ in range(STEPS):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(self.network(self.images), self.labels).backward()  # type: ignore[no-untyped-call]
            set_learning_rate(optimizer, LR)
            optimizer.step()

    def logits(self, network: nn.Module | None = None) -> Tensor:
        """Return the logits of a network in evaluation mode, by default of the adapted one."""
        import torch

        used = network or self.network
        with torch.no_grad():
            result: Tensor = used.eval()(self.images)
        return result

    def _adapted(self) -> nn.Module:
        first: LtbenchError | None = None
        for network in _networks(self.inputs.classes):
            try:
                return self._adapt(network)
            except LtbenchError as error:
                first = first or error
        assert first is not None
        raise first

    def _adapt(self, network: nn.Module) -> nn.Module:
        import torch

        from ltbench.engine.determinism import seeded
        from ltbench.engine.parameter_groups import ParameterRules
        from ltbench.engine.structure import check_network

        before = set(network.parameters())
        with seeded(0, "finetune", torch.device("cpu")):
            adapted = check_network(self.technique, self.technique.adapt(network))
        self.rules = ParameterRules()
        self.rules.add_finetune(self.technique, adapted)
        self.rules.check_effect(self.technique, adapted, set(adapted.parameters()) - before, self.images[:1])
        return adapted


def _networks(classes: int) -> Iterator[nn.Module]:
    import torch
    from timm.models.resnet import BasicBlock, ResNet
    from timm.models.vision_transformer import VisionTransformer

    from ltbench.engine.determinism import seeded

    size: dict[str, Any] = {"img_size": PIXELS, "patch_size": 4, "embed_dim": 12, "depth": 2, "num_heads": 2}
    with seeded(0, "init", torch.device("cpu")):
        yield VisionTransformer(num_classes=classes, **size)
    with seeded(0, "init", torch.device("cpu")):
        yield ResNet(
            cast("Any", BasicBlock),
            (1, 1, 1, 1),
            num_classes=classes,
            channels=(4, 4, 8, 8),
            stem_type="deep",
            stem_width=4,
        )
