from __future__ import annotations

import os
from pathlib import Path

import msgspec
import numpy as np
import pytest
from bench import LABELS, LOGITS, OWN, RESULT, Bench, Extra
from support import registry_with

from ltbench.core.process_state import forget_calls
from ltbench.errors import DataError, JobFailed, StoreError
from ltbench.executors.execute import execute
from ltbench.jobs.cell import derive, failed_record
from ltbench.records.checked_record import check_identity
from ltbench.records.record import validate
from ltbench.registry.registry import Registry
from ltbench.stages import Metric


@pytest.fixture
def own() -> Registry:
    RESULT["extra"] = {"extra": np.float64(0.5)}
    return registry_with(*OWN, Extra, distribution="own-pkg", version="1.2")


@pytest.fixture
def bench(tmp_path: Path, own: Registry) -> Bench:
    return Bench(tmp_path / "store", own)


def test_the_record_of_a_plain_cell_worked_by_hand(bench: Bench) -> None:
    record = bench.record()
    assert record["status"] == "ok"
    assert record["confusion"] == [[2, 0, 0], [1, 1, 0], [2, 0, 0]]
    assert record["metrics"]["top1"] == 0.5
    assert (record["metrics"]["many"], record["metrics"]["medium"], record["metrics"]["few"]) == (1.0, 0.25, None)
    # True class at 0.8 for three images and at 0.1 for three.
    assert record["metrics"]["nll"] == pytest.approx(-(np.log(0.8) + np.log(0.1)) / 2, rel=1e-6)
    assert record["metrics"]["ece"] == pytest.approx(0.3, rel=1e-6)
    assert record["per_class"]["support"] == [2, 2, 2]
    assert record["setting"]["imbalance_factor"] == 10.0
    assert set(record["combination"].values()) == {None}
    assert record["data"]["classes"] == ["ä", "b", "c"]


def test_a_record_is_sealed_and_its_identity_is_recomputed_from_its_own_text(bench: Bench) -> None:
    check_identity(validate(bench.record("cb_sampler", "mixup", "tta", "shift")))


def test_the_metrics_of_every_plugin_are_in_it(bench: Bench) -> None:
    RESULT["extra"] = {"extra": np.float64(0.5), "per_class.extra": np.arange(3), "unknown": None}
    record = bench.record()
    assert (record["metrics"]["extra"], record["metrics"]["unknown"]) == (0.5, None)
    assert record["per_class"]["extra"] == [0, 1, 2]
    assert {p["name"] for p in record["plugins"] if p["stage"] == "metric"} >= {
        "classification",
        "calibration",
        "extra",
    }


def test_posthoc_sees_the_logits_of_each_view_and_the_training_counts(bench: Bench) -> None:
    # Odds 8 : 1 for class 0 against log counts 200 : 20 leave class 2 ahead by 10 to 8.
    assert bench.record("shift")["confusion"] == [[0, 0, 2], [0, 1, 1], [0, 0, 2]]


def test_views_and_members_are_merged_in_the_order_of_the_plan(bench: Bench) -> None:
    wrong = np.roll(LOGITS, 1, axis=1)
    # Parents are member-major: only the second view of the first member is right, and only it is looked at.
    bench.logits = [wrong, LOGITS, wrong, wrong]
    assert bench.record("second_view", "first_member")["metrics"]["top1"] == 0.5
    other = Bench(bench.context.store.root / "other", bench.context.registry)
    other.logits = [LOGITS, wrong, LOGITS, LOGITS]
    assert other.record("second_view", "first_member")["metrics"]["top1"] != 0.5


def test_cost_counts_every_fit_and_prediction_once(bench: Bench) -> None:
    cost = bench.record("two_views", "pair")["cost"]
    assert cost.pop("derive_seconds") > 0
    assert cost == {
        "train_seconds": 4.0, "predict_seconds": 1.0, "samples": 2000, "samples_per_second": 500.0,
        "peak_memory_bytes": 101, "parameters": 60, "macs": 4 * 70,
    }  # fmt: skip


def test_provenance_is_what_the_fit_recorded_and_the_installed_for_the_rest(bench: Bench) -> None:
    plugins = {p["name"]: p for p in bench.record("shift")["plugins"]}
    assert plugins["some_net"]["version"] == "0.9"
    assert plugins["shift"]["version"] == "1.2"
    assert list(plugins)[:2] == ["few_images", "exp"]


def test_the_curve_and_environment_are_those_of_the_first_member(bench: Bench) -> None:
    record = bench.record("pair")
    assert (record["curve"]["loss"], record["environment"]["python"]) == ([1.0], "member 0")


def test_groups_of_a_bagged_cell_follow_the_whole_subset(bench: Bench) -> None:
    bench.counts = [94, 94, 94]
    # The bags are balanced; exp at factor 10 over three classes of 200 is 200, 63, 20.
    assert bench.record("bags")["data"]["counts"] == [200, 63, 20]


@pytest.mark.parametrize(
    ("technique", "expected"),
    [
        ("odd_posthoc[does=raise]", r"posthoc 'odd_posthoc.*' of own-pkg 1.2 raised ZeroDivisionError"),
        ("odd_posthoc[does=shape]", r"returned float64 \[1, 3\]; expected finite logits \[6, 3\]"),
        ("odd_posthoc[does=nan]", r"returned float64 \[6, 3\], not all finite"),
        ("odd_posthoc[does=none]", "posthoc 'odd_posthoc.*returned"),
        ("odd_view[does=logits]", r"view 'odd_view.*' of own-pkg 1.2 returned values from -2.3"),
        ("odd_view[does=half]", "a row whose sum differs from 1 by 0.5"),
        ("odd_view[does=shape]", r"returned float64 \[1, 6, 3\]; expected probabilities \[6, 3\]"),
        ("odd_view[does=negative]", "values from -0.5 to 1.5"),
    ],
)
def test_a_plugin_that_returns_nonsense_is_named_with_got_and_expected(
    bench: Bench, technique: str, expected: str
) -> None:
    with pytest.raises(JobFailed, match=expected):
        bench.record(technique)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"extra": float("nan")}, "'extra' = nan; expected a finite number or None"),
        ({"extra": "good"}, "'extra' = good"),
        ({"per_class.extra": [1, 2]}, "expected a list of 3"),
        ({"top1": 1.0}, "'top1', which 'classification' returns, too"),
        ([1, 2], "returned list; expected numbers by name"),
        (None, "returned NoneType; expected numbers by name"),
        ({"extra": True}, "'extra' = True; expected a finite number"),
        ({"extra": 10**400}, "expected a finite number"),
        ({"extra": 2**63}, "expected a finite number"),
        ({"extra": 1j}, "expected a finite number"),
        ({"extra": np.array([0.5, 0.5])}, "expected a finite number"),
        ({"per_class.extra": [1, 2, float("inf")]}, "expected a list of 3"),
        ({"confusion": np.full((3, 3), 0.5)}, "expected 3 lists of 3 counts"),
        ({"confusion": -np.eye(3, dtype=int)}, "expected 3 lists of 3 counts"),
        ({7: 0.5}, "a number with the name 7"),
        ({"": 0.5}, "a number with the name ''"),
        (ZeroDivisionError("division by zero"), "raised ZeroDivisionError: division by zero"),
        (SystemExit(3), "raised SystemExit: 3"),
        (DataError("no labels", fix="look"), "raised DataError: no labels"),
    ],
)
def test_a_metric_that_fails_costs_only_its_own_numbers_and_is_named(
    bench: Bench, tmp_path: Path, result: object, expected: str
) -> None:
    RESULT["extra"] = result
    record = bench.record()
    failure = record["failed_metrics"].pop("extra")
    assert not record["failed_metrics"]
    assert failure["message"].startswith("metric 'extra' of own-pkg 1.2 ")
    assert expected in failure["message"]
    assert "Traceback" in failure["log"]
    assert str(Path(__file__).parent) not in failure["log"]
    without = Bench(tmp_path / "other", registry_with(*OWN, distribution="own-pkg", version="1.2")).record()
    assert record["status"] == "ok"
    for field in ("metrics", "per_class", "confusion"):
        assert record[field] == without[field]


def test_a_metric_that_writes_into_its_arguments_changes_no_other_number(bench: Bench) -> None:
    def vandal(*arrays):
        for array in arrays:
            array[...] = 0
        return {"extra": 1.0}

    plain = bench.record()
    RESULT["extra"] = vandal
    bench.context.store.discard(plain["id"])
    assert bench.record()["metrics"] == plain["metrics"] | {"extra": 1.0}


@pytest.mark.parametrize("raises", [False, True])
def test_a_metric_that_leaves_the_process_changed_fails_and_changes_no_other(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raises: bool
) -> None:
    def leak(*arrays):
        np.set_printoptions(precision=2)
        os.environ["LEAK"] = "1"
        return {"extra": 1 / (0 if raises else 1)}

    class Zlast(Metric):
        """A metric that is called after the other one."""

        name = "zlast"

        def compute(self, probabilities, labels, counts):
            return {"zlast": float("LEAK" in os.environ)}

    monkeypatch.delenv("LEAK", raising=False)
    RESULT["extra"] = leak
    forget_calls()
    record = Bench(tmp_path, registry_with(*OWN, Extra, Zlast)).record()
    assert record["metrics"]["zlast"] == 0.0
    assert "LEAK" not in os.environ
    seen = "raised ZeroDivisionError" if raises else "changed the environment variable LEAK"
    assert seen in record["failed_metrics"]["extra"]["message"]


def test_a_record_without_a_failed_metric_does_not_mention_them(bench: Bench) -> None:
    assert "failed_metrics" not in bench.record()


# --- held-out images --------------------------------------------------------------------------------------------------


def test_numbers_on_held_out_images_stand_beside_those_on_test_images(bench: Bench) -> None:
    plain = bench.record()
    assert "held_out" not in plain
    bench.held_out = 0.1
    record = bench.record()
    # The same logits against other labels: all but the third image are of class 0.
    assert record["held_out"]["confusion"] == [[2, 0, 0], [1, 1, 0], [2, 0, 0]]
    assert record["confusion"] == plain["confusion"]
    for field in ("metrics", "per_class"):
        assert record[field] == plain[field]
        assert record["held_out"][field].keys() == record[field].keys()
    check_identity(validate(record))


def test_posthoc_views_and_members_apply_to_held_out_predictions_as_to_test_ones(bench: Bench) -> None:
    bench.held_out = 0.1
    wrong = np.roll(LOGITS, 1, axis=1)
    bench.labels = np.array([0, 1, 2, 2, 1, 0])
    # Parents are those of all test predictions, then those of all held-out ones.
    bench.logits = [wrong, LOGITS, wrong, wrong]
    test, held_out = (bench.record("second_view", "first_member", "shift")[name] for name in ("confusion", "held_out"))
    # Log counts of 180, 57 and 18 images move every second view to class 2, but for the third image.
    assert test == [[0, 0, 2], [0, 0, 2], [0, 1, 1]]
    assert held_out["confusion"] == [[0, 0, 2], [0, 0, 2], [0, 1, 1]]


def test_a_bagged_cell_counts_the_subset_without_held_out_images(bench: Bench) -> None:
    bench.held_out = 0.1
    bench.counts = [94, 94, 94]
    assert bench.record("bags")["data"]["counts"] == [180, 57, 18]


def test_a_metric_that_fails_on_held_out_images_alone_keeps_its_number_on_test_images(bench: Bench) -> None:
    bench.held_out = 0.1
    calls: list[int] = []

    def second(*_arrays):
        calls.append(1)
        return {"extra": 1 / (2 - len(calls))}

    RESULT["extra"] = second
    record = bench.record()
    assert record["metrics"]["extra"] == 1.0
    assert "extra" not in record["held_out"]["metrics"]
    assert record["held_out"]["metrics"]["top1"] == 0.5
    assert list(record["failed_metrics"]) == ["held_out.extra"]
    assert "raised ZeroDivisionError" in record["failed_metrics"]["held_out.extra"]["message"]


def test_a_metric_cannot_return_a_number_of_held_out_images(bench: Bench) -> None:
    RESULT["extra"] = {"held_out.top1": 1.0}
    failure = bench.record()["failed_metrics"]["extra"]
    assert "a number with the name 'held_out.top1'" in failure["message"]


def test_a_metric_that_a_record_lacks_is_added_for_both_splits(bench: Bench, tmp_path: Path) -> None:
    bench.held_out = 0.1
    full = bench.record()
    other = Bench(tmp_path / "other", registry_with(*OWN, distribution="own-pkg", version="1.2"))
    other.held_out = 0.1
    cell = other.cell()
    execute(cell, other.context)
    assert "extra" not in other.context.store.record(cell.key)["held_out"]["metrics"]
    execute(
        msgspec.structs.replace(cell, renew=True),
        msgspec.structs.replace(other.context, registry=bench.context.registry),
    )
    renewed = other.context.store.record(cell.key)
    for field in ("metrics", "per_class", "confusion", "held_out"):
        assert renewed[field] == full[field]


def test_logits_that_cannot_be_right_are_refused(bench: Bench) -> None:
    bench.logits = [LOGITS[:, :2].copy()]
    with pytest.raises(JobFailed, match=r"stored logits are float32 \[6, 2\]; expected finite \[6, 3\]"):
        bench.record()


def test_labels_out_of_range_are_refused(bench: Bench) -> None:
    bench.labels = LABELS + 1
    with pytest.raises(JobFailed, match="outside of 0 to 2"):
        bench.record()


def test_damaged_logits_are_noticed(bench: Bench) -> None:
    cell = bench.cell()
    path = bench.context.store.path(cell.parents[0]) / "logits.safetensors"
    path.write_bytes(path.read_bytes()[:-4] + b"\1\1\1\1")
    with pytest.raises(StoreError, match="damaged"):
        derive(cell, bench.context)
    assert bench.context.store.record(cell.key) is None


def test_a_failed_record_is_sealed_and_carries_its_log(bench: Bench) -> None:
    cell = bench.cell("mixup")
    record = failed_record(cell, {"type": "JobFailed", "message": "NaN", "job": "abc", "log": "Traceback"})
    check_identity(validate(record))
    assert (record["status"], record["error"]["log"], record["metrics"]) == ("failed", "Traceback", {})
