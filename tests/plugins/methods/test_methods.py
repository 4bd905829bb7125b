from __future__ import annotations

from pathlib import Path

import pytest

from ltbench.planning.combinations import Combination, suite_combinations
from ltbench.planning.parts import make_plan
from ltbench.planning.planner import Planner
from ltbench.registry.registry import Registry
from ltbench.suite.suite import changed, find_suite
from ltbench.testing.checks_methods import method_conformance

BUILT_IN = {
    "ldam_drw": ["cosine", "ldam[scale=30]", "ens[reduction=weighted_mean]", "drw"],
    "ce_drw": ["ens[reduction=weighted_mean]", "drw"],
    "cb_focal": ["sigmoid_focal", "ens"],
    "mislas": ["mixup[alpha=1,per_batch=true]", "mislas_stage2"],
    "ride": [
        "cosine[scale=30]",
        "experts",
        "ride_loss",
        "ens[reduction=weighted_mean]",
        "ride_diversity[against=mean,at=0.8]",
        "drw",
    ],
    "sade": ["cosine[scale=30]", "experts", "sade_loss"],
    "balpoe": ["mixup", "cosine[scale=30]", "experts", "balpoe_loss"],
    "ncl": ["experts[blocks=99]", "ncl_loss", "ncl_distillation"],
}


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_method_has_its_parts(name: str, registry: Registry) -> None:
    assert [part.label for part in registry.parse_all(name)] == BUILT_IN[name]


def test_every_built_in_method_passes_its_checks(registry: Registry) -> None:
    for name in registry.methods:
        assert [str(one) for one in method_conformance(name, registry) if one.state != "ok"] == []


def test_every_built_in_method_can_be_planned(registry: Registry) -> None:
    rows = [[name] for name in registry.methods]
    suite = changed(find_suite("quick", registry), techniques=[], combinations=rows, imbalance_factors=[100], seeds=[0])
    plan = make_plan(suite, registry, Path())
    assert plan.left_out == []
    assert plan.combinations == 1 + len(registry.methods)


def test_ldam_drw_is_trained_as_its_authors_do(registry: Registry) -> None:
    suite = changed(find_suite("quick", registry), techniques=[], combinations=[["ldam_drw"]], imbalance_factors=[100])
    (_, row) = suite_combinations(suite, registry)
    assert isinstance(row, Combination)
    planner = Planner(suite, registry, Path())
    planner.add(row)
    (cell, *_) = planner.take(more=False).cells
    fit = cell.extra["fits"][0]
    assert fit["head"]["name"] == "cosine"
    (before, after) = fit["segments"]
    # Weights from four fifths of the training on, epoch 160 of 200; everything else from its start.
    assert (before["until"], before["weight"]) == (0.8, None)
    assert after["weight"]["params"] == {"reduction": "weighted_mean"}
    for segment in (before, after):
        assert segment["loss"]["params"] == {"scale": 30.0}
