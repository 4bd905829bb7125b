"""SADE: experts for the head, for balanced classes and for the tail."""

from __future__ import annotations

from ltbench import Method, hookimpl


@hookimpl
def ltbench_methods() -> list[Method]:
    """Return the training of SADE; the logits of its experts are averaged.

    With `tta` and `sade_aggregation`, experts are weighed on unlabelled test images as the authors do.
    """
    return [
        Method(
            name="sade",
            parts=("cosine[scale=30]", "experts", "sade_loss"),
            about="SADE: three experts, for the head, for balanced classes and for the reversed tail.",
            source="Zhang et al., Self-Supervised Aggregation of Diverse Experts for Test-Agnostic Long-Tailed Recognition, NeurIPS 2022, the losses of its three experts",
        )
    ]
