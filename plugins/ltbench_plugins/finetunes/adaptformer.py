"""AdaptFormer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Finetune, Meta, Model, NotTuned, Tune, hookimpl
from ltbench_plugins.finetunes._class_means import WithClassifier

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ltbench.technique import Technique


class AdaptFormer(WithClassifier, frozen=True):
    """Train a bottleneck beside the MLP of each transformer block, and the classifier.

    For x', what a block passes to its MLP: x~ = ReLU(LN(x') W_down) W_up (equation 2), and the block returns
    MLP(LN(x')) + s x~ + x' (equation 3). W_up starts at zero, so that the network starts as it was. LN is that of the block;
    with `normalised = false` the bottleneck gets x' itself, as in the authors' code. A layer scale or stochastic depth of
    the block also acts on the bottleneck.
    Source: Chen et al., "AdaptFormer: Adapting Vision Transformers for Scalable Visual Recognition", NeurIPS 2022, section
    3.2; bottleneck 64 and s = 0.1 as there.
    """

    name = "adaptformer"
    width: Annotated[int, Meta(ge=1, description="width of the bottleneck"), NotTuned("decides the cost")] = 64
    scale: Annotated[float, Meta(gt=0, description="factor s of the bottleneck"), Tune(0.01, 0.2, log=True)] = 0.1
    normalised: Annotated[bool, Meta(description="whether the bottleneck gets normalised features")] = True

    def unsuited_to(self, model: Technique) -> str:
        return "" if isinstance(model, Model) and model.is_transformer else "its networks have no transformer blocks"

    def adapt(self, network: nn.Module) -> nn.Module:
        from ltbench_plugins.finetunes._bottleneck import add_bottlenecks

        return add_bottlenecks(network, self.width, self.scale, normalised=self.normalised)

    def learns(self, name: str, parameter: Tensor, module: nn.Module) -> bool:
        return ".bottleneck." in name


@hookimpl
def ltbench_finetunes() -> list[type[Finetune]]:
    return [AdaptFormer]
