"""MiSLAS with the mixup of its first stage."""

from __future__ import annotations

from ltbench import Method, hookimpl


@hookimpl
def ltbench_methods() -> list[Method]:
    """Return MiSLAS as the authors train it on CIFAR-100-LT.

    Mixup has alpha 1 and one draw for each batch, in the first stage alone. The regime `mislas_stage2` is the second stage.
    """
    return [
        Method(
            name="mislas",
            parts=("mixup[alpha=1,per_batch=true]", "mislas_stage2"),
            about="MiSLAS: mixup, then label-aware smoothing, a scaled classifier and shifted batch normalisation.",
            source="Zhong et al., Improving Calibration for Long-Tailed Recognition, CVPR 2021, section 3",
        )
    ]
