from __future__ import annotations

from pathlib import Path

import pytest

from ltbench.cli.asked_suite import asked_suite
from ltbench.errors import UsageError
from ltbench.leaderboard.suite_facts import SuiteFacts, with_suite
from ltbench.planning.combinations import Combination, LeftOut, suite_combinations
from ltbench.planning.parts import make_plan
from ltbench.registry.registry import Registry
from ltbench.suite.published import as_recorded
from ltbench.suite.suite import Suite, changed, find_suite

WHOLE = "cosine + ldam[scale=30] + ens[reduction=weighted_mean] + drw"


def suite(registry: Registry, **changes: object) -> Suite:
    return changed(find_suite("quick", registry), **{"techniques": [], **changes})


def rows(registry: Registry, *combinations: list[str]) -> list[str]:
    found = suite_combinations(suite(registry, combinations=list(combinations)), registry)
    return [one.label for one in found if isinstance(one, Combination)]


def test_a_method_in_a_listed_combination_is_one_row(registry: Registry) -> None:
    assert rows(registry, ["ldam_drw"], ["ldam_drw", "tta"]) == ["baseline", WHOLE, f"{WHOLE} + tta"]


def test_a_technique_of_the_row_takes_the_place_of_the_part(registry: Registry) -> None:
    replaced = WHOLE.replace("ldam[scale=30]", "focal")
    assert rows(registry, ["ldam_drw", "focal"], ["ldam_drw", "cross_entropy"]) == [
        "baseline",
        "cosine + ens[reduction=weighted_mean] + drw",
        replaced,
    ]
    assert rows(registry, ["ldam_drw", "focal[gamma=1,2]"])[1:] == [
        replaced.replace("focal", "focal[gamma=1]"),
        replaced,
    ]


def test_methods_with_the_same_part_are_joined_and_others_refused(registry: Registry) -> None:
    assert rows(registry, ["ldam_drw", "ce_drw"]) == ["baseline", WHOLE]
    with pytest.raises(UsageError, match="both of stage"):
        rows(registry, ["ldam_drw", "cb_focal"])


def test_the_parts_of_a_method_vary_under_a_strategy(registry: Registry) -> None:
    asked = dict.fromkeys(
        ("strategy", "max_techniques", "datasets", "profiles", "models", "imbalance_factors", "seeds"), None
    ) | {"suite_name": "quick", "everything": False, "settings": ()}
    found = asked_suite(registry, plugins="ce_drw,tta", **asked)
    assert found.techniques == ("ens[reduction=weighted_mean]", "drw", "tta")
    labels = [one.label for one in suite_combinations(found, registry) if isinstance(one, Combination)]
    assert labels == [
        "baseline",
        "ens[reduction=weighted_mean]",
        "tta",
        "ens[reduction=weighted_mean] + drw",
        "ens[reduction=weighted_mean] + tta",
        "ens[reduction=weighted_mean] + drw + tta",
    ]
    cumulative = asked_suite(registry, plugins="ldam_drw", **asked | {"strategy": "cumulative"})
    stacked = [one.combination if isinstance(one, LeftOut) else one for one in suite_combinations(cumulative, registry)]
    assert stacked[-1].label == WHOLE


def test_a_suite_of_methods_plans_the_cells_of_its_parts(registry: Registry) -> None:
    parts = ["cosine", "ldam[scale=30]", "ens[reduction=weighted_mean]", "drw"]
    written = make_plan(suite(registry, combinations=[["ldam_drw"]]), registry, Path())
    spelt = make_plan(suite(registry, combinations=[parts]), registry, Path())
    assert list(written.jobs) == list(spelt.jobs)
    assert written.cells == spelt.cells


def test_reference_and_claims_may_name_methods(registry: Registry) -> None:
    labels = tuple(WHOLE.split(" + "))
    assert as_recorded(("ldam_drw",), registry) == labels
    assert as_recorded(("ldam_drw", "focal"), registry) == (labels[0], *labels[2:], "focal")
    assert as_recorded(("not_installed", "ce_drw"), registry) == (
        "ens[reduction=weighted_mean]",
        "drw",
        "not_installed",
    )
    found = suite_combinations(suite(registry, combinations=[["ldam_drw"]], reference=["ldam_drw"]), registry)
    assert not any(isinstance(one, LeftOut) for one in found)


def test_a_page_knows_the_methods_whose_parts_its_suite_has(registry: Registry) -> None:
    facts = with_suite(SuiteFacts(name="s"), suite(registry, combinations=[["ldam_drw"], ["tta"]]), registry)
    assert facts.method_parts == {
        "ce_drw": ("ens[reduction=weighted_mean]", "drw"),
        "ldam_drw": tuple(WHOLE.split(" + ")),
    }
    assert with_suite(facts, find_suite("quick", registry), registry).method_parts == {}
