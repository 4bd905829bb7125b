"""What the cells of a combination share, and the part of a plan in which they are collected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from ltbench.core.spec import Job, Spec
from ltbench.planning.combinations import LeftOut
from ltbench.planning.members import MemberFit
from ltbench.planning.settings import Setting
from ltbench.planning.shared_fits import SharedFits
from ltbench.stages import Ensemble, Posthoc, Regime, Sampler
from ltbench.suite.recipe import Recipe


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """The common part of all cells of a combination under one recipe."""

    ensemble: Ensemble
    recipe: Recipe
    regime: Regime
    sampler: Sampler
    views: list[str]
    posthoc: Posthoc | None
    spec: Spec
    extra: Spec


class Training(NamedTuple):
    """The trainings of a template's cells in one setting, without seeds."""

    setting: Setting
    members: list[MemberFit]
    cost_unshared: float
    """Passes of a cell without sharing: its complete trainings and its predictions."""
    notes: list[str]
    """Notes for the leaderboard."""


class Wanted(NamedTuple):
    """Which cells of a combination to add; by default those of the suite."""

    recipe: Recipe | None = None
    settings: Sequence[Setting] | None = None
    seeds: Sequence[tuple[int, int]] | None = None
    """Pairs of subset seed and training seed."""
    until: float | None = None
    """Where trainings are cut short, as a fraction of their length: cells of no page, see `Record.is_partial`."""


class AddedCell(NamedTuple):
    """A cell of a combination in a plan."""

    key: str
    setting: Setting
    seeds: tuple[int, int]
    """Subset seed and training seed."""
    passes: float
    """Its cost without sharing, in forward passes of an image."""


class Part:
    """A part of a plan while combinations are added."""

    def __init__(self) -> None:
        self.left_out: list[LeftOut] = []
        self.combinations = 0
        self.trainings_naive = 0
        self.passes_naive = 0.0
        self.fits = SharedFits()
        self.predicts: dict[str, Job] = {}
        self.features: dict[str, Job] = {}
        """Features from which predictions are computed."""
        self.cells: dict[str, tuple[Job, Setting]] = {}
        self.notes: dict[str, None] = {}
