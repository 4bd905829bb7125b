"""Predictions of networks with branches: posthoc per branch, then branches, views and members merge, in this order."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import save

from ltbench.errors import JobFailed
from ltbench.jobs import probabilities as in_parts
from ltbench.jobs.posthoc import branch_weights, merged_branches
from ltbench.jobs.probabilities import Labelled, Member, predictions
from ltbench.registry.registry import Registry
from ltbench.stages import Ensemble
from ltbench_plugins.posthocs.sade_aggregation import SadeAggregation
from ltbench_plugins.posthocs.tau_norm import TauNorm

if TYPE_CHECKING:
    from ltbench.stages import FloatArray

NORMS = np.array([[1.0, 2.0], [4.0, 1.0]])
BIAS = np.array([[0.0, 0.0], [0.0, 1.0]])
COUNTS = np.array([9, 1])
BRANCHES = {"name": "experts", "distribution": "ltbench", "revision": 1, "params": {"n": 2}}
# With tau = 1, a posthoc returns (logits - bias) / norms of each branch:
EQUAL = ([2.0, 2.0], [4.0, 3.0])  # (2, 1) and (1, 2): on average (1.5, 1.5), probabilities 1/2 and 1/2
THREE_TO_ONE = ([2.0, 4.0], [8 * math.log(3), 1.0])  # (2, 2) and (2 log 3, 0): odds 3 to 1


def stored(branches: Sequence[Sequence[float]]) -> bytes:
    """Return the file of a prediction for one image of class 0, with these logits of two branches."""
    parts = {"branches": np.array(branches)[:, None], "classifier.norms": NORMS, "classifier.bias": BIAS}
    arrays = {name: part.astype(np.float32) for name, part in parts.items()}
    return save({**arrays, "labels": np.array([0])})


def probability(registry: Registry, members: Sequence[Sequence[Sequence[Sequence[float]]]], **techniques: str) -> float:
    """Return the probability of class 0. members: for each member the logits of its views."""
    names = {"view": "identity", "posthoc": "tau_norm", "ensemble": "single", "branches": "experts[n=2]"} | techniques
    spec = {stage: registry.spec(registry.parse(name)) for stage, name in names.items() if name}
    files = {f"{m} {v}": stored(view) for m, views in enumerate(members) for v, view in enumerate(views)}
    of_cell = [
        Member(COUNTS, {"test": [key for key in files if key.startswith(f"{m} ")]}, spec["branches"])
        for m in range(len(members))
    ]
    found = predictions(registry, {"posthoc": None} | spec, of_cell, files.__getitem__, ["test"])
    assert found["test"].labels.tolist() == [0]
    return float(found["test"].probabilities[0, 0])


def test_a_posthoc_adjusts_each_branch_by_its_own_classifier_before_they_merge(registry: Registry) -> None:
    assert probability(registry, [[EQUAL]]) == pytest.approx(1 / 2, rel=1e-6)
    assert probability(registry, [[THREE_TO_ONE]]) == pytest.approx(3 / 4, rel=1e-6)
    # Without it, the logits merge as they are: (3, 2.5), and e^0.5 to 1.
    assert probability(registry, [[EQUAL]], posthoc="") == pytest.approx(1 / (1 + math.exp(-0.5)), rel=1e-6)


def test_then_views_merge_as_probabilities_and_then_members(registry: Registry) -> None:
    first, second = [EQUAL, THREE_TO_ONE], [THREE_TO_ONE, THREE_TO_ONE]
    assert probability(registry, [first], view="tta") == pytest.approx((1 / 2 + 3 / 4) / 2, rel=1e-6)
    mean = ((1 / 2 + 3 / 4) / 2 + 3 / 4) / 2
    assert probability(registry, [first, second], view="tta", ensemble="bagging") == pytest.approx(mean, rel=1e-6)


def test_the_branches_of_bbn_merge_with_equal_shares(registry: Registry) -> None:
    assert probability(registry, [[EQUAL]], branches="bbn") == pytest.approx(1 / 2, rel=1e-6)
    doubled = probability(registry, [[THREE_TO_ONE]], branches="bbn[factor=2]")
    assert doubled == pytest.approx(9 / 10, rel=1e-6)


def test_a_posthoc_may_weigh_branches_instead_of_their_own_merge(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    logits = np.array([[[[0.0, 4.0]], [[4.0, 0.0]]]])  # views, branches, images, classes
    monkeypatch.setattr(TauNorm, "branch_weights", lambda self, given: np.array([0.25, 0.75]) + 0 * given[0, :, 0, 0])
    weights = branch_weights(registry, TauNorm(), logits)
    np.testing.assert_allclose(merged_branches(registry, BRANCHES, weights, logits), [[[3.0, 1.0]]])


def test_weights_that_do_not_sum_to_one_are_refused(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TauNorm, "branch_weights", lambda self, logits: np.array([1.0, 1.0]))
    with pytest.raises(JobFailed, match=r"returned weights \[1.0, 1.0\]; expected 2 finite weights with sum 1"):
        branch_weights(registry, TauNorm(), np.zeros((1, 2, 1, 2)))


@pytest.mark.parametrize("techniques", [{"view": "tta", "ensemble": "bagging"}, {"posthoc": ""}])
def test_many_images_of_many_classes_are_computed_in_parts_with_the_same_numbers(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, techniques: Mapping[str, str]
) -> None:
    rng = np.random.default_rng(0)
    names = {"view": "identity", "posthoc": "tau_norm", "ensemble": "single", "branches": "experts[n=2]"} | techniques
    spec = {"posthoc": None} | {stage: registry.spec(registry.parse(name)) for stage, name in names.items() if name}
    files = {
        key: save({"branches": rng.normal(size=(2, 7, 2)).astype(np.float32), "labels": np.arange(7) % 2,
                   "classifier.norms": NORMS.astype(np.float32), "classifier.bias": BIAS.astype(np.float32)})
        for key in "abcd"
    }  # fmt: skip
    views = 2 if names["view"] == "tta" else 1
    members = [Member(COUNTS, {"test": list("abcd"[at : at + views])}, spec["branches"]) for at in (0, 2)]
    members = members if names["ensemble"] == "bagging" else members[:1]
    calls: list[int] = []
    merge = type(registry.build_as(spec["ensemble"], Ensemble)).merge

    def noting(self: Ensemble, parts: FloatArray) -> FloatArray:
        calls.append(parts.shape[1])
        return merge(self, parts)

    monkeypatch.setattr(type(registry.build_as(spec["ensemble"], Ensemble)), "merge", noting)

    def found() -> Labelled:
        calls.clear()
        return predictions(registry, spec, members, files.__getitem__, ["test"])["test"]

    whole = found()
    assert calls == [7]
    for most in (2, 4, 6, 12):
        monkeypatch.setattr(in_parts, "TOGETHER", most)
        parts = found()
        assert len(calls) > 1
        assert sum(calls) == 7
        np.testing.assert_array_equal(parts.labels, whole.labels)
        np.testing.assert_allclose(parts.probabilities, whole.probabilities, rtol=0, atol=1e-15)


def test_weights_of_branches_are_computed_from_all_images_at_once(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_parts, "TOGETHER", 1)
    told: list[int] = []
    weigh = SadeAggregation.branch_weights

    def noting(self: SadeAggregation, logits: FloatArray) -> FloatArray | None:
        told.append(logits.shape[2])
        return weigh(self, logits)

    monkeypatch.setattr(SadeAggregation, "branch_weights", noting)
    rng = np.random.default_rng(0)
    stages = {"view": "tta", "posthoc": "sade_aggregation", "ensemble": "single", "branches": "experts[n=2]"}
    spec = {stage: registry.spec(registry.parse(name)) for stage, name in stages.items()}
    logits = rng.normal(size=(2, 7, 2)).astype(np.float32)
    content = save({"branches": logits, "labels": np.arange(7) % 2})
    predictions(
        registry, spec, [Member(COUNTS, {"test": ["a", "a"]}, spec["branches"])], lambda _key: content, ["test"]
    )
    assert told == [7]
