"""CE-DRW: cross entropy with class weights late in the training."""

from __future__ import annotations

from ltbench import Method, hookimpl


@hookimpl
def ltbench_methods() -> list[Method]:
    """Return CE-DRW: LDAM-DRW without its margin and its cosine classifier."""
    return [
        Method(
            name="ce_drw",
            parts=("ens[reduction=weighted_mean]", "drw"),
            about="CE-DRW: cross entropy with deferred re-weighting by the effective number of samples.",
            source="Cao et al., Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss, NeurIPS 2019, "
            "section 3.3 and algorithm 1",
        )
    ]
