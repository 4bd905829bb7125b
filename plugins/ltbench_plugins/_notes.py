"""Notes for the leaderboard on pairs of techniques that are legal and doubtful."""

from __future__ import annotations

from collections.abc import Mapping

_TWICE = "both correct the class prior, so the head may be pushed below the tail"

WITH_BALANCED_SAMPLERS: Mapping[str, str] = dict.fromkeys(
    ("cb_sampler", "reweighted_sampler", "balanced_batch", "artificial_balance"), _TWICE
)
"""For a technique that corrects the class prior: the samplers that do, by showing every class equally often."""

BEFORE_ADJUSTMENT: Mapping[str, str] = {
    **WITH_BALANCED_SAMPLERS,
    **dict.fromkeys(("ins", "isns", "ens", "clipped_inverse"), _TWICE),
}
"""For one that adjusts logits by the class prior: the samplers and weights that have corrected it already."""

WITH_ANOTHER_CORRECTION: Mapping[str, str] = {
    **BEFORE_ADJUSTMENT,
    **dict.fromkeys(("logit_adjust_posthoc", "tau_norm"), _TWICE),
}
"""For a loss that adjusts logits by the class prior: the same, and the adjustment after training."""
