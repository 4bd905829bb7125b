"""Accuracy against cost: ratios of what every machine counts alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import synthetic

from ltbench.leaderboard.figures import place_figures
from ltbench.leaderboard.figures.canvas import Drawing, svg
from ltbench.leaderboard.figures.cost import pareto_front
from ltbench.leaderboard.figures.relative_cost import Cost, costs
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.records.record import Record, plain_values, seal, validate

FACTS = SuiteFacts(name="s", figures=("cost",))


def costing(
    techniques: Mapping[str, str], top1: float, *, samples: int = 1000, macs: int = 10, factor: float = 10.0
) -> Record:
    return synthetic.record(techniques, factor, 0, {"top1": top1}, cost={"samples": samples, "macs": macs})


def members(record: Record, models: list[str], **changes: Any) -> Record:
    """Return a record of an ensemble whose members have these models."""
    plain = plain_values(record)
    fits = [
        plain["fits"][0] | {"model": synthetic.technique(model), "seed": i} | changes for i, model in enumerate(models)
    ]
    return validate(seal(plain | {"fits": fits, "digest": ""}))


def figure(records: list[Record]) -> Drawing | None:
    found = place_figures(FACTS, records)
    assert all(group.section == "cost" for group in found)
    return next((drawing for group in found for drawing in group.drawings), None)


def test_there_is_no_figure_where_all_cost_about_the_same() -> None:
    assert figure([costing({}, 0.5), costing({"mix": "mixup"}, 0.6)]) is None
    # One batch more is no difference.
    assert figure([costing({}, 0.5), costing({"mix": "mixup"}, 0.6, samples=1064)]) is None
    assert figure([costing({}, 0.5)]) is None


def test_views_cost_at_inference_only() -> None:
    drawing = figure([costing({}, 0.5), costing({"view": "tta"}, 0.6, macs=20), costing({"mix": "mixup"}, 0.4)])
    assert drawing is not None
    assert drawing.data.panels == ["inference"]
    assert {place.name: place.costs for place in drawing.data.places} == {
        "baseline": {"training": 1.0, "inference": 1.0},
        "tta": {"training": 1.0, "inference": 2.0},
        "mixup": {"training": 1.0, "inference": 1.0},
    }
    text = svg(drawing)
    assert "inference cost, baseline = 1×" in text
    assert "training cost" not in text


def test_members_cost_in_training_and_at_inference() -> None:
    bag = members(costing({"ensemble": "bagging"}, 0.6, samples=4000, macs=40), ["convnet"] * 4)
    drawing = figure([costing({}, 0.5), bag])
    assert drawing is not None
    assert drawing.data.places[1].costs == {"training": 4.0, "inference": 4.0}
    # One panel says both.
    assert drawing.data.panels == ["training"]
    assert drawing.data.alike
    assert "inference cost: the same ratios" in svg(drawing)


def test_members_in_two_views_are_trained_once() -> None:
    both = members(costing({"ensemble": "bagging", "view": "tta"}, 0.6, samples=4000, macs=80), ["convnet"] * 4)
    found = costs([costing({}, 0.5), both])
    assert found[both.label].over(found["baseline"]) == Cost(training=4.0, inference=8.0)
    drawing = figure([costing({}, 0.5), both])
    assert drawing is not None
    assert drawing.data.panels == ["training", "inference"]


def test_members_of_several_models_count_each_model() -> None:
    stacked = members(costing({"ensemble": "stacking"}, 0.6, samples=3000, macs=90), ["convnet", "wide", "deep"])
    found = costs([costing({}, 0.5), stacked])
    # Each member sees 1000 images: 1000 x (10 + w + d) with a sum of 90.
    assert found[stacked.label].over(found["baseline"]) == Cost(training=9.0, inference=9.0)


def test_branches_make_another_network_of_a_model() -> None:
    experts = members(
        costing({"branches": "experts"}, 0.6, macs=25), ["convnet"], branches=synthetic.technique("experts")
    )
    bag = members(costing({"ensemble": "bagging"}, 0.6, samples=4000, macs=40), ["convnet"] * 4)
    for records in ([costing({}, 0.5), experts, bag], [experts, bag, costing({}, 0.5)]):
        found = costs(records)
        assert found[experts.label].over(found["baseline"]) == Cost(training=2.5, inference=2.5)
        assert found[bag.label].over(found["baseline"]) == Cost(training=4.0, inference=4.0)


def test_a_cost_that_records_do_not_say_is_unknown() -> None:
    # Bags of unlike sizes for unlike models: which model saw how many images is in no record.
    odd = members(costing({"ensemble": "stacking"}, 0.6, samples=3000, macs=90), ["convnet", "wide"])
    fits = [fit | {"bag": {"ensemble": synthetic.technique("b"), "number": i}} for i, fit in enumerate(odd.fits)]
    odd = validate(seal(plain_values(odd) | {"fits": fits, "digest": ""}))
    assert costs([costing({}, 0.5), odd])[odd.label].training is None
    # In several views of a model that no row predicts in one view, the cost of a view is unknown.
    only = costs([costing({"view": "tta"}, 0.6, macs=20)])["tta"]
    assert only == Cost(training=None, inference=20.0)
    assert costs([synthetic.record({}, 10.0, 0, cost={})])["baseline"] == Cost(training=None, inference=None)


def test_costs_of_several_factors_are_means_of_the_factors() -> None:
    made = [costing({}, 0.5, samples=3000), costing({}, 0.4, samples=1000, factor=100.0)]
    made += [costing({"mix": "mixup"}, 0.5, samples=6000), costing({"mix": "mixup"}, 0.4, samples=2000, factor=100.0)]
    found = costs(made)
    assert found["mixup"].over(found["baseline"]).training == 2.0
    drawing = figure(made)
    assert drawing is not None
    assert drawing.data.where == "mean over factors"


def test_the_front_has_what_nothing_beats_in_both() -> None:
    assert pareto_front([(1, 5), (1, 7), (2, 7), (3, 9), (4, 8)], 1) == [(1, 7), (3, 9)]
    assert pareto_front([(1, 5), (2, 4), (3, 4)], -1) == [(1, 5), (2, 4)]


def test_rows_of_the_front_have_a_name() -> None:
    records = [
        *(costing({"loss": f"l{i}"} if i else {}, 0.5 + i / 100) for i in range(9)),
        costing({"mix": "mixup", "loss": "l3"}, 0.9, macs=20),
        costing({"mix": "mixup", "loss": "l4"}, 0.7, macs=15),
    ]
    drawing = figure(records)
    assert drawing is not None
    named = {place.name for place in drawing.data.places if place.look}
    assert {"mixup + l3", "mixup + l4", "l8", "baseline"} <= named
    assert "other combinations" in svg(drawing)
