"""Class-balanced focal loss."""

from __future__ import annotations

from ltbench import Method, hookimpl


@hookimpl
def ltbench_methods() -> list[Method]:
    """Return the class-balanced focal loss: on sigmoids, weighted by the effective number of samples.

    Cui et al. choose gamma and beta for each data set; here they are the defaults of the parts, 2 and 0.9999. With
    `focal` in the place of `sigmoid_focal` it is the variant on softmax probabilities of many repositories.
    """
    return [
        Method(
            name="cb_focal",
            parts=("sigmoid_focal", "ens"),
            about="Class-balanced focal loss: focal loss weighted by the effective number of samples.",
            source="Cui et al., Class-Balanced Loss Based on Effective Number of Samples, CVPR 2019, section 4.3",
        )
    ]
