"""How good a screening design is: what it estimates, how precisely, and what is mixed into its estimates."""

from __future__ import annotations

import math

import msgspec

from ltbench.core.effect_model import EffectModel
from ltbench.planning.screen import Screen
from ltbench.stages import Technique


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """An effect that a design estimates."""

    techniques: tuple[str, ...]
    """Labels: one, or two for an interaction."""
    variance_factor: float
    """Its variance over that in an ideal design of as many rows, in which no estimate depends on another."""


class Alias(msgspec.Struct, frozen=True, kw_only=True):
    """An interaction that is no effect of the design."""

    techniques: tuple[str, str]
    effect: tuple[str, ...]
    """The estimate that it changes most."""
    share: float
    """By how much of itself it changes this estimate."""


class ScreenQuality(msgspec.Struct, frozen=True, kw_only=True):
    """How good a screening design is."""

    rows: int
    effects: int
    """Techniques and declared pairs."""
    estimates: list[Estimate]
    not_estimable: list[tuple[str, ...]]
    aliased: list[Alias]
    """All other pairs that some row has, the largest share first."""


def quality_of(design: Screen) -> ScreenQuality:
    """Return how good a design is."""
    model = EffectModel(design.rows, design.space.techniques, design.pairs)
    variances = (model.weights() ** 2).sum(axis=1).tolist()
    pairs = model.other_pairs()
    shares = model.aliased(pairs)
    aliased = []
    if model.effects:
        for pair, column in zip(pairs, shares.T, strict=True):
            most = int(abs(column).argmax())
            aliased.append(
                Alias(
                    techniques=(pair[0].label, pair[1].label), effect=_labels(model.effects[most]),
                    share=float(column[most]),
                )
            )  # fmt: skip
    return ScreenQuality(
        rows=len(design.rows),
        effects=len(model.effects) + len(model.unknown),
        estimates=[
            Estimate(techniques=_labels(effect), variance_factor=variance / _ideal_variance(effect, design))
            for effect, variance in zip(model.effects, variances, strict=True)
        ],
        not_estimable=[_labels(effect) for effect in model.unknown],
        aliased=sorted(
            (one for one in aliased if one.share), key=lambda one: (-round(abs(one.share), 6), one.techniques)
        ),
    )


def _labels(effect: tuple[Technique, ...]) -> tuple[str, ...]:
    return tuple(technique.label for technique in effect)


def _ideal_variance(effect: tuple[Technique, ...], design: Screen) -> float:
    """Return the least variance of an effect, of a design in which a single row has variance 1.

    One of k alternatives is compared with none, best with the square root of k times as many rows of the latter (Dunnett).
    Each effect of a pair is half present: 16 over the rows.
    """
    if len(effect) > 1:
        return 16 / len(design.rows)
    return (1 + math.sqrt(len(design.space.of(effect[0].stage)))) ** 2 / len(design.rows)
