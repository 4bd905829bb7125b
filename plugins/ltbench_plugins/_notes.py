"""Notes for the leaderboard on doubtful pairs of techniques."""

from __future__ import annotations

from collections.abc import Mapping

_TWICE = "both correct the class prior, so the head may be pushed below the tail"

_PARTLY_BALANCED = ("power_sampler", "sqrt_sampler", "repeat_factor", "progressive")
"""Samplers that correct a part of the class prior, which the weight `isns` completes."""

WITH_BALANCED_SAMPLERS: Mapping[str, str] = dict.fromkeys(
    ("cb_sampler", "reweighted_sampler", "balanced_batch", "artificial_balance", "reverse"), _TWICE
)
"""For techniques that correct a part of the class prior: the samplers that already balance the classes."""

WITH_RESAMPLING: Mapping[str, str] = {**WITH_BALANCED_SAMPLERS, **dict.fromkeys(_PARTLY_BALANCED, _TWICE)}
"""For techniques that correct the class prior: the samplers that already do so, at least in part."""

BEFORE_ADJUSTMENT: Mapping[str, str] = {
    **WITH_RESAMPLING,
    **dict.fromkeys(("ins", "isns", "ens", "clipped_inverse"), _TWICE),
}
"""For techniques that adjust logits by the class prior: the samplers and weights that already correct it."""

WITH_A_REVERSED_STREAM: Mapping[str, str] = {
    **BEFORE_ADJUSTMENT,
    **dict.fromkeys(("logit_adjust_posthoc", "prior_shift", "min_cost", "tau_norm"), _TWICE),
}
"""For branches that see a reversed stream: samplers and weights that already correct the class prior, and adjustments."""

WITH_ANOTHER_CORRECTION: Mapping[str, str] = {**WITH_A_REVERSED_STREAM, "bbn": _TWICE}
"""For losses that adjust logits by the class prior: the same, and branches that see a reversed stream."""
