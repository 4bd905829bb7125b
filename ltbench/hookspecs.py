"""The hooks of plugins: one per stage, and one each for suites, methods, families of techniques, executors and observers.

A plugin is a module that implements these hooks, registered in the entry-point group `ltbench`. Hooks have no
arguments so far and return the classes that the plugin provides.

`API_VERSION` is raised when a hook, or a method that a stage calls, gains or loses an argument. Plugins without a new
argument keep working, because `ARGUMENTS` lists what hooks may request; an argument to be removed warns for one version
(`warn_on_impl_args`). Methods of a stage get no new arguments: instead, a new method is added whose default calls the
old one, as `Posthoc.adjust_linear` does.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pluggy

from ltbench import stages

if TYPE_CHECKING:
    from ltbench.executor import ExecutorOffer
    from ltbench.method import Method
    from ltbench.observer import ObserverOffer

PROJECT = "ltbench"
API_VERSION = 1
OLDEST_API = 1
"""The oldest supported version of the hooks."""
ARGUMENTS: Mapping[str, object] = {}
"""Arguments of hooks by name."""
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def ltbench_datasets() -> Sequence[type[stages.Dataset]]:  # type: ignore[empty-body]
    """Return data sets."""


@hookspec
def ltbench_profiles() -> Sequence[type[stages.Profile]]:  # type: ignore[empty-body]
    """Return imbalance profiles."""


@hookspec
def ltbench_samplers() -> Sequence[type[stages.Sampler]]:  # type: ignore[empty-body]
    """Return samplers."""


@hookspec
def ltbench_augments() -> Sequence[type[stages.Augment]]:  # type: ignore[empty-body]
    """Return augmentations."""


@hookspec
def ltbench_mixes() -> Sequence[type[stages.Mix]]:  # type: ignore[empty-body]
    """Return mixes."""


@hookspec
def ltbench_models() -> Sequence[type[stages.Model]]:  # type: ignore[empty-body]
    """Return models."""


@hookspec
def ltbench_finetunes() -> Sequence[type[stages.Finetune]]:  # type: ignore[empty-body]
    """Return ways of fine-tuning."""


@hookspec
def ltbench_heads() -> Sequence[type[stages.Head]]:  # type: ignore[empty-body]
    """Return classifiers."""


@hookspec
def ltbench_branches() -> Sequence[type[stages.Branches]]:  # type: ignore[empty-body]
    """Return branches of networks."""


@hookspec
def ltbench_losses() -> Sequence[type[stages.Loss]]:  # type: ignore[empty-body]
    """Return losses."""


@hookspec
def ltbench_weights() -> Sequence[type[stages.Weight]]:  # type: ignore[empty-body]
    """Return class weights."""


@hookspec
def ltbench_auxiliaries() -> Sequence[type[stages.Auxiliary]]:  # type: ignore[empty-body]
    """Return second terms of the objective."""


@hookspec
def ltbench_updates() -> Sequence[type[stages.Update]]:  # type: ignore[empty-body]
    """Return updates of the weights."""


@hookspec
def ltbench_regimes() -> Sequence[type[stages.Regime]]:  # type: ignore[empty-body]
    """Return training regimes."""


@hookspec
def ltbench_views() -> Sequence[type[stages.View]]:  # type: ignore[empty-body]
    """Return test-time views."""


@hookspec
def ltbench_posthocs() -> Sequence[type[stages.Posthoc]]:  # type: ignore[empty-body]
    """Return posthoc adjustments."""


@hookspec
def ltbench_ensembles() -> Sequence[type[stages.Ensemble]]:  # type: ignore[empty-body]
    """Return ensembles."""


@hookspec
def ltbench_metrics() -> Sequence[type[stages.Metric]]:  # type: ignore[empty-body]
    """Return metrics."""


@hookspec
def ltbench_suites() -> Sequence[Path]:  # type: ignore[empty-body]
    """Return paths of suite files (TOML)."""


@hookspec
def ltbench_methods() -> Sequence[Method]:  # type: ignore[empty-body]
    """Return methods: named bundles of techniques."""


class Family(Protocol):
    """Many similar techniques, such as the models of a library, created by name on demand.

    They are not listed and are used in combinations only by name. A registered technique takes precedence over a member
    of a family with the same name. A family whose members need a package that may not be installed can have `requires`, as
    techniques do; without the package it has no names.
    """

    def names(self) -> Collection[str]:
        """Return all names. Called often, so it must not import anything heavy."""

    def technique(self, name: str) -> type[stages.Technique]:
        """Return the technique of that name."""


@hookspec
def ltbench_families() -> Sequence[Family]:  # type: ignore[empty-body]
    """Return families of techniques."""


@hookspec
def ltbench_executors() -> Sequence[type[ExecutorOffer]]:  # type: ignore[empty-body]
    """Return executors. Heavy imports belong in `make`."""


@hookspec
def ltbench_observers() -> Sequence[type[ObserverOffer]]:  # type: ignore[empty-body]
    """Return observers of runs. Heavy imports belong in `make`."""
