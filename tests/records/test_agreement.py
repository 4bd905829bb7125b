from __future__ import annotations

import pytest
from synthetic import identified, raw, record

from ltbench.records.agreement import BAND, agreement, has_more_metrics
from ltbench.records.record import Record

HERE = {"processor": "AMD EPYC", "capability": "AVX2", "device": "cpu", "torch": "2.15.0", "python": "3.11"}


def test_on_one_type_of_machine_numbers_are_the_same_or_wrong() -> None:
    then, same = record(environment=HERE), record(environment=HERE | {"python": "3.12"}, cost={"train_seconds": 1.0})
    found = agreement(then, same)
    assert (found.same, found.expected, found.gap, found.within()) == (True, "exact", 0.0, True)
    close = agreement(then, record(scores={"top1": 0.7 + 1e-12}, environment=HERE))
    assert (close.same, close.within(), close.within(0.001)) == (False, False, True)


@pytest.mark.parametrize("key", ["processor", "capability", "device", "torch"])
def test_on_unlike_machines_top1_may_differ_by_a_band(key: str) -> None:
    then = record(environment=HERE)
    near = agreement(then, record(scores={"top1": 0.7 + BAND * 0.9}, environment=HERE | {key: "other"}))
    far = agreement(then, record(scores={"top1": 0.7 + BAND * 1.1}, environment=HERE | {key: "other"}))
    assert near.expected == "band"
    assert near.unlike == [f"{key} {HERE[key]} / other"]
    assert (near.within(), far.within(), far.within(0.1), near.within(0.0)) == (True, False, True, False)


def test_what_one_record_does_not_tell_of_its_machine_may_be_a_difference() -> None:
    older = {key: value for key, value in HERE.items() if key != "capability"}
    found = agreement(record(environment=older), record(environment=HERE))
    assert (found.expected, found.unlike) == ("band", ["capability unknown / AVX2"])


def test_without_top1_there_is_no_band() -> None:
    then, now = record(scores={"top1": None}, environment=HERE), record(environment=HERE | {"device": "gpu"})
    found = agreement(then, now)
    assert (found.gap, found.within(1.0)) == (None, False)
    assert found.metrics["top1"] == (None, 0.7)


def test_a_metric_that_one_of_them_was_made_without_is_no_difference() -> None:
    then, now = record(environment=HERE), record(scores={"gmean": 0.5, "top1": 0.7}, environment=HERE)
    assert agreement(then, now).same
    assert agreement(now, then).same
    lost = record(metrics={"ece": 0.08}, environment=HERE)
    assert not agreement(then, lost).same


def held_out(**metrics: float) -> Record:
    """Return a record with these numbers on held-out images."""
    made = raw(environment=HERE)
    made["fits"][0]["data"]["held_out"] = 0.1  # type: ignore[index]
    return identified(made | {"held_out": {"metrics": metrics}})


def test_numbers_on_held_out_images_are_compared_too() -> None:
    assert agreement(held_out(top1=0.6), held_out(top1=0.6)).same
    found = agreement(held_out(top1=0.6), held_out(top1=0.61))
    # The band is for test images; on one type of machine there is none.
    assert (found.same, found.within()) == (False, False)


def test_a_metric_that_one_lacks_on_held_out_images_is_no_difference() -> None:
    fewer, more = held_out(top1=0.6), held_out(top1=0.6, gmean=0.5)
    assert agreement(fewer, more).same
    assert (has_more_metrics(more, fewer), has_more_metrics(fewer, more)) == (True, False)
