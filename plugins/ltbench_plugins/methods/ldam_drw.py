"""LDAM-DRW: margins that grow with rarity, and class weights late in the training."""

from __future__ import annotations

from ltbench import Method, hookimpl


@hookimpl
def ltbench_methods() -> list[Method]:
    """Return LDAM-DRW as the authors train it.

    The margin is subtracted from a cosine in [-1, 1] before the scale, and the loss of a batch is divided by the sum of
    its weights. The authors start the weights at epoch 160 of 200, the default of `drw`.
    """
    return [
        Method(
            name="ldam_drw",
            parts=("cosine", "ldam[scale=30]", "ens[reduction=weighted_mean]", "drw"),
            about="LDAM-DRW: margins by class rarity on a cosine classifier, with deferred re-weighting.",
            source="Cao et al., Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss, NeurIPS 2019, "
            "sections 3.2 and 3.3, algorithm 1",
        )
    ]
