"""Records get the metrics that they lack from stored logits, and nothing else of them changes."""

from __future__ import annotations

import copy
from pathlib import Path

import msgspec
import numpy as np
import pytest
from bench import OWN, RESULT, Bench, Extra
from support import registry_with

from ltbench.core.signals import StopNow, catch_signals
from ltbench.core.spec import Job
from ltbench.executor import Context
from ltbench.executors.execute import execute
from ltbench.executors.perform import perform
from ltbench.jobs.missing_metrics import installed_metrics, missing_metrics
from ltbench.records.checked_record import check_identity
from ltbench.records.record import seal, validate
from ltbench.stages import Metric


class Second(Metric):
    """A metric that is installed later."""

    name = "second"

    def compute(self, probabilities, labels, counts):
        return RESULT["second"]


class Revised(Second):
    revision = 2


def bench(root: Path, *metrics: type[Metric], distribution: str = "own-pkg") -> Bench:
    """Return a bench on the store at `root` with these metrics installed besides the built-in ones."""
    return Bench(root, registry_with(*OWN, *metrics, distribution=distribution, version="1.2"))


@pytest.fixture(autouse=True)
def results() -> None:
    RESULT.update(extra={"extra": 0.5}, second={"second": 0.25, "per_class.second": [1, 2, 3]})


def renewed(root: Path, *metrics: type[Metric]) -> dict:
    """Derive the plain cell in a store that has its record, with these metrics installed, and return the record."""
    here = bench(root, *metrics)
    cell = here.cell()
    execute(cell, here.context)
    record = here.context.store.record(cell.key)
    check_identity(validate(record))
    return record


def missing(record: dict, *metrics: type[Metric], **options: bool) -> dict[str, str]:
    return missing_metrics(record, installed_metrics(bench(Path("unused"), *metrics).context.registry), **options)


def without(record: dict, *numbers: str) -> dict:
    """Return a record without some numbers, and without what follows from them."""
    rest = copy.deepcopy(record) | {"digest": "", "plugins": []}
    for name in numbers:
        (rest["per_class"] if name.startswith("per_class.") else rest["metrics"]).pop(name.removeprefix("per_class."))
    return rest


def test_a_metric_that_is_added_later_is_derived_and_every_other_number_stays(tmp_path: Path) -> None:
    before = bench(tmp_path).record()
    # Odd numbers of an older machine, which only differ in their last bits, show that nothing is computed anew.
    before["metrics"]["nll"] += 1e-12
    before["cost"]["derive_seconds"] = 123.0
    bench(tmp_path).context.store.put_record(seal(before))
    assert missing(before, Second) == {"second": ""}
    after = renewed(tmp_path, Second)
    assert after["metrics"]["second"] == 0.25
    assert after["per_class"]["second"] == [1, 2, 3]
    assert without(after, "second", "per_class.second") == without(before)
    assert [p for p in after["plugins"] if p["name"] != "second"] == before["plugins"]
    assert missing(after, Second) == {}


def test_a_cell_that_lacks_nothing_is_left_alone(tmp_path: Path) -> None:
    here = bench(tmp_path)
    record = here.record()
    path = here.context.store.record_path(record["id"])
    path.touch()
    before = path.stat().st_ino
    assert renewed(tmp_path) == record
    assert path.stat().st_ino == before


def test_it_is_the_record_that_a_cell_made_now_would_have(tmp_path: Path) -> None:
    bench(tmp_path / "one").record()
    one, two = renewed(tmp_path / "one", Second), bench(tmp_path / "two", Second).record()
    for field in ("metrics", "per_class", "confusion", "plugins"):
        assert one[field] == two[field]


def test_a_later_revision_replaces_all_numbers_of_the_earlier_one(tmp_path: Path) -> None:
    before = bench(tmp_path, Second, Extra).record()
    assert missing(before, Revised, Extra) == {"second": "revision 2"}
    RESULT["second"] = {"second": 0.75, "other": 1.0}
    after = renewed(tmp_path, Revised, Extra)
    assert (after["metrics"]["second"], after["metrics"]["other"], "second" in after["per_class"]) == (0.75, 1.0, False)
    assert {p["name"]: p["revision"] for p in after["plugins"]}["second"] == 2
    assert without(after, "second", "other") == without(before, "second", "per_class.second")
    assert missing(after, Second, Extra) == {}, "an earlier revision takes nothing back"


def test_what_a_removed_metric_computed_stays_also_where_another_one_is_revised(tmp_path: Path) -> None:
    before = bench(tmp_path, Extra, Second).record()
    assert missing(before) == {}
    assert renewed(tmp_path) == before
    RESULT["second"] = {"second": 0.75}
    after = renewed(tmp_path, Revised)
    assert (after["metrics"]["extra"], after["metrics"]["second"]) == (0.5, 0.75)
    assert "extra" in {p["name"] for p in after["plugins"]}


def test_a_metric_of_that_name_of_another_distribution_is_another_metric(tmp_path: Path) -> None:
    before = bench(tmp_path, Second).record()
    other = bench(tmp_path, Second, distribution="other-pkg")
    assert missing_metrics(before, installed_metrics(other.context.registry)) == {"second": "of other-pkg"}


def test_one_that_failed_before_is_tried_again_unless_told_otherwise(tmp_path: Path) -> None:
    RESULT["second"] = ZeroDivisionError()
    before = bench(tmp_path, Failing).record()
    assert missing(before, Failing) == {"failing": "failed before"}
    assert missing(before, Failing, retry_failed=False) == {}
    again = renewed(tmp_path, Failing)
    assert list(again["failed_metrics"]) == ["failing"]
    RESULT["second"] = {"second": 0.25}
    after = renewed(tmp_path, Failing)
    assert "failed_metrics" not in after
    assert without(after, "second") == without({k: v for k, v in before.items() if k != "failed_metrics"})


class Failing(Second):
    name = "failing"

    def compute(self, probabilities, labels, counts):
        if isinstance(RESULT["second"], Exception):
            raise RESULT["second"]
        return RESULT["second"]


class FailingRevised(Failing):
    revision = 2


def test_a_later_revision_that_fails_leaves_the_numbers_of_the_earlier_one(tmp_path: Path) -> None:
    RESULT["second"] = {"second": 0.25}
    before = bench(tmp_path, Failing).record()
    RESULT["second"] = ZeroDivisionError("no")
    after = renewed(tmp_path, FailingRevised)
    assert "ZeroDivisionError: no" in after["failed_metrics"]["failing"]["message"]
    assert after["metrics"] == before["metrics"]
    assert after["plugins"] == before["plugins"]
    assert missing(after, FailingRevised, retry_failed=False) == {"failing": "revision 2"}


def test_a_new_metric_cannot_replace_a_number_of_one_that_is_there(tmp_path: Path) -> None:
    before = bench(tmp_path, Extra).record()
    for result in ({"top1": 1.0}, {"second": 1.0, "per_class.f1": [1, 1, 1]}):
        RESULT["second"] = result
        after = renewed(tmp_path, Extra, Second)
        assert "returns, too" in after["failed_metrics"]["second"]["message"]
        assert after["metrics"] == before["metrics"]
    # Nor one of a metric that fails this time.
    RESULT.update(extra={"extra": float("nan")}, second={"extra": 0.9})
    after = renewed(tmp_path, Extra, Second)
    assert "which is already on record" in after["failed_metrics"]["second"]["message"]
    assert after["metrics"]["extra"] == 0.5
    assert list(after["failed_metrics"]) == ["second"]


def test_logits_that_are_not_those_of_the_record_give_it_no_number(tmp_path: Path) -> None:
    """They were cleaned away and made again on another machine, or somebody merges views in another way."""
    before = bench(tmp_path).record()
    store = bench(tmp_path).context.store
    other = Bench(tmp_path, registry_with(*OWN, Second, distribution="own-pkg", version="1.2"))
    other.logits = [np.roll(other.logits[0], 1, axis=1)]
    cell = bench(tmp_path).plan().cells[0]
    for key in cell.parents:
        store.discard(key, keep_record=True)
    execute(other.cell(), other.context)
    after = other.context.store.record(before["id"])
    assert "have changed since the record was made" in after["failed_metrics"]["second"]["message"]
    assert after["metrics"] == before["metrics"]


def test_what_fails_before_the_metrics_leaves_the_record(tmp_path: Path) -> None:
    before = bench(tmp_path).record()
    here = bench(tmp_path, Second)
    cell = here.cell()
    for key in cell.parents:
        here.context.store.discard(key, keep_record=True)
    here.logits = [here.logits[0][:, :2].copy()]
    execute(here.cell(), here.context)
    after = here.context.store.record(before["id"])
    assert "stored logits are float32" in after["failed_metrics"]["second"]["message"]
    assert without(after) == without(before) | {"failed_metrics": after["failed_metrics"]}


def test_a_derivation_that_is_killed_half_way_loses_nothing(tmp_path: Path) -> None:
    before = bench(tmp_path).record()

    class Killed(Second):
        def compute(self, probabilities, labels, counts):
            signals.add()
            signals.add()

    here = bench(tmp_path, Killed)
    with catch_signals() as signals, pytest.raises(StopNow):
        execute(here.cell(), here.context)
    assert here.context.store.record(before["id"]) == before
    assert renewed(tmp_path, Second)["metrics"]["second"] == 0.25


def test_what_stays_changed_costs_the_new_numbers_and_not_the_record(tmp_path: Path) -> None:
    """Found after the job only, as where a thread of a metric changes the process a moment later."""
    before = bench(tmp_path).record()
    here = bench(tmp_path, Second)
    job = msgspec.structs.replace(here.cell(), renew=True)

    def work(job: Job, context: Context) -> None:
        execute(job, context)
        np.set_printoptions(precision=2)

    (outcome,) = perform([job], here.context, work)
    assert (outcome.status, outcome.changed) == ("failed", True)
    assert here.context.store.record(before["id"]) == before
    assert np.get_printoptions()["precision"] == 8
