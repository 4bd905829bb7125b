"""Initial weights of the classifier from training images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from ltbench import Finetune, Meta, Tune

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ltbench.stages import Batches


class WithClassifier(Finetune, frozen=True):
    """Fine-tuning with a choice of the classifier's initial weights.

    With `class_mean`, the weight of class c is the mean of the features f of its training images, w_c = m_c / |m_c| with
    m_c = 1/n_c sum f(x), and its bias is 0. A class without images keeps its random weights.
    Source: Shi et al., "Long-Tail Learning with Foundation Model: Heavy Fine-Tuning Hurts" (LIFT), ICML 2024, section 4.3,
    which prefers class names embedded by a text encoder where the backbone has one.
    """

    classifier: Annotated[
        Literal["random", "class_mean"],
        Meta(description="initial weights of the classifier: random, or the mean features of each class (LIFT)"),
        Tune("random", "class_mean"),
    ] = "random"

    def initialise(self, network: nn.Module, images: Batches) -> None:
        if self.classifier == "class_mean":
            set_class_means(network, images)


def set_class_means(network: nn.Module, images: Batches) -> None:
    """Set the weights of a classifier to the normalised mean features of the classes, and its biases to 0.

    Raises `ValueError` if it has no weights float [C, D].
    """
    layer = network.get_classifier()  # type: ignore[operator]
    weight: Tensor | None = getattr(layer, "weight", None)
    if weight is None or weight.dim() != 2 or not weight.is_leaf or not weight.requires_grad:
        raise ValueError(
            f"classifier=class_mean needs a classifier with weights for each class, but it is {type(layer).__name__}"
        )
    taken: list[Tensor] = []
    handle = layer.register_forward_pre_hook(lambda _module, given: taken.append(given[0]))
    sums = weight.new_zeros(weight.shape)
    counts = weight.new_zeros(len(weight))
    try:
        for batch, labels in images:
            taken.clear()
            network(batch)
            if len(taken) != 1 or taken[0].shape != (len(labels), weight.shape[1]):
                raise ValueError("classifier=class_mean needs a classifier that is given one row of features per image")
            sums.index_add_(0, labels, taken[0].to(sums.dtype))
            counts.index_add_(0, labels, counts.new_ones(len(labels)))
    finally:
        handle.remove()
    seen = counts > 0
    means = sums[seen] / counts[seen, None]
    weight[seen] = means / means.norm(dim=1, keepdim=True).clamp(min=1e-12)
    bias: Tensor | None = getattr(layer, "bias", None)
    if bias is not None:
        bias[seen] = 0
