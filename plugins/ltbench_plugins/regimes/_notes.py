"""Notes for the leaderboard on doubtful pairs of techniques."""

from __future__ import annotations

from collections.abc import Mapping

BALANCED_SECOND_STAGE: Mapping[str, str] = dict.fromkeys(
    ("balanced_softmax", "logit_adjust", "vs", "logit_adjust_posthoc"),
    "the second stage already balances the classes, so the head may be pushed below the tail",
)
"""For regimes whose second stage has class-balanced samples: what else corrects the class prior there."""

FACTORS: Mapping[str, str] = {"head": "its factors become part of the weights of the model's own linear classifier"}
"""Conflicts of regimes that scale the classifier."""
