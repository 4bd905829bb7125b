"""Notes for the leaderboard on doubtful pairs of techniques."""

from __future__ import annotations

from collections.abc import Mapping

_TWICE = "the second stage already balances the classes, so the head may be pushed below the tail"

ADJUSTED_AFTER_A_BALANCED_STAGE: Mapping[str, str] = dict.fromkeys(
    ("logit_adjust_posthoc", "prior_shift", "min_cost", "tau_norm"), _TWICE
)
"""For regimes with a class-balanced second stage: what corrects the class prior after the training."""

BALANCED_SECOND_STAGE: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "balanced_softmax",
            "logit_adjust",
            "vs",
            "cdt",
            "seesaw",
            "equalization",
            "balpoe_loss",
            "sade_loss",
            "ncl_loss",
        ),
        _TWICE,
    ),
    **ADJUSTED_AFTER_A_BALANCED_STAGE,
}
"""For such regimes that keep the loss: what else corrects the class prior."""

FACTORS: Mapping[str, str] = {"head": "its factors become part of the weights of the model's own linear classifier"}
"""Conflicts of regimes that scale the classifier."""
