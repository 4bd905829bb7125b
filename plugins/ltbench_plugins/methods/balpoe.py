"""BalPoE: a balanced product of calibrated experts."""

from __future__ import annotations

from ltbench import Method, hookimpl


@hookimpl
def ltbench_methods() -> list[Method]:
    """Return BalPoE with the default alpha of `mixup`, which calibrates the experts; the authors choose it for each data set."""
    return [
        Method(
            name="balpoe",
            parts=("mixup", "cosine[scale=30]", "experts", "balpoe_loss"),
            about="BalPoE: three experts with logit adjustments of different strength, calibrated by mixup.",
            source="Aimar et al., Balanced Product of Calibrated Experts for Long-Tailed Recognition, CVPR 2023, section 3",
        )
    ]
