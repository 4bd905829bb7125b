from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from support import registry_with

from ltbench.core.spec import Job
from ltbench.errors import DataError, JobFailed, StoreError
from ltbench.executor import Context
from ltbench.executors.execute import execute
from ltbench.jobs.cell import derive, failed_record
from ltbench.planning.parts import make_plan
from ltbench.planning.plan import Plan
from ltbench.records.record import check_identity, validate
from ltbench.registry.registry import Registry
from ltbench.stages import Dataset, DatasetInfo, Ensemble, Member, Metric, Model, Posthoc, View
from ltbench.store.store import Store
from ltbench.suite.suite import changed, find_suite

LABELS = np.array([0, 0, 1, 1, 2, 2])
LOGITS = np.log(np.array([[8, 1, 1], [8, 1, 1], [1, 8, 1], [8, 1, 1], [8, 1, 1], [8, 1, 1]], dtype=np.float32) / 10)


class Few(Dataset):
    name = "few_images"

    def info(self, root: Path) -> DatasetInfo:
        return DatasetInfo(
            classes=("ä", "b", "c"), train_counts=(200,) * 3, test_counts=(2,) * 3, channels=1, size=8, mean=(0.5,),
            std=(0.25,), fingerprint="f" * 16,
        )  # fmt: skip


class Net(Model):
    name = "some_net"


class Shift(Posthoc):
    """Subtracts log counts, as logit adjustment does."""

    name = "shift"

    def adjust(self, logits, counts):
        return logits - np.log(counts / counts.sum())


class OddPosthoc(Posthoc):
    name = "odd_posthoc"
    does: str = "raise"

    def adjust(self, logits, counts):
        return {"raise": lambda: 1 / 0, "shape": lambda: logits[:1], "nan": lambda: logits * np.nan,
                "none": lambda: None}[self.does]()  # fmt: skip


class OddView(View):
    name = "odd_view"
    does: str = "logits"

    def views(self) -> Mapping[str, Callable]:
        return {"identity": lambda images: images}

    def merge(self, logits):
        return {"logits": logits[0], "half": np.full(logits[0].shape, 0.5), "shape": logits,
                "negative": np.tile([1.5, -0.5, 0.0], (6, 1))}[self.does]  # fmt: skip


class Two(View):
    name = "two_views"

    def views(self) -> Mapping[str, Callable]:
        return {"identity": lambda images: images, "other": lambda images: images}

    def merge(self, logits):
        return (np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)).mean(0)


class SecondView(Two):
    name = "second_view"

    def merge(self, logits):
        return super().merge(logits[1:])


class Pair(Ensemble):
    name = "pair"

    def members(self, counts: Sequence[int]) -> Sequence[Member]:
        return [Member(), Member(seed_offset=1)]

    def merge(self, probabilities):
        return probabilities.mean(0)


class FirstMember(Pair):
    name = "first_member"

    def merge(self, probabilities):
        return probabilities[0]


class Bags(Pair):
    name = "bags"

    def members(self, counts: Sequence[int]) -> Sequence[Member]:
        return [Member(bag=0), Member(bag=1)]


class Extra(Metric):
    """A third-party metric whose result a test sets."""

    name = "extra"

    def compute(self, probabilities, labels, counts):
        result = RESULT["extra"]
        if isinstance(result, BaseException):
            raise result
        return result(probabilities, labels, counts) if callable(result) else result


OWN = (Few, Net, Shift, OddPosthoc, OddView, Two, SecondView, Pair, FirstMember, Bags)
RESULT: dict[str, object] = {}


@pytest.fixture
def own() -> Registry:
    RESULT["extra"] = {"extra": np.float64(0.5)}
    return registry_with(*OWN, Extra, distribution="own-pkg", version="1.2")


class Bench:
    """A store with the fits and predictions of one cell, without any training."""

    def __init__(self, root: Path, registry: Registry) -> None:
        self.context = Context(store=Store(root), registry=registry, data_root=root)
        self.logits = [LOGITS]
        self.labels = LABELS
        self.counts = [200, 63, 20]

    def plan(self, *techniques: str) -> Plan:
        suite = changed(
            find_suite("quick", self.context.registry), datasets=["few_images"], models=["some_net"],
            imbalance_factors=[10], seeds=[0], techniques=techniques,
        )  # fmt: skip
        return make_plan(suite, self.context.registry, Path())

    def cell(self, *techniques: str) -> Job:
        """Return the cell that has all the techniques, with everything it needs in the store."""
        plan = self.plan(*techniques)
        cell = max(plan.cells, key=lambda job: sum(v is not None for v in job.extra["combination"].values()))
        for number, key in enumerate(dict.fromkeys(cell.spec["members"])):
            self.put(key, {"meta.json": self.fit_meta(number)})
        for number, key in enumerate(cell.parents):
            self.put(key, {"meta.json": {"spec": {}, "cost": {"predict_seconds": 0.25}, "plugins": []}}, number)
        return cell

    def fit_meta(self, number: int) -> dict:
        return {
            "data": {"counts": self.counts, "imbalance_factor": 10.0, "gini": 0.4, "classes": ["ä", "b", "c"],
                     "size": 8, "channels": 1},
            "curve": {"epoch": [1], "loss": [1.0 + number]},
            "cost": {"train_seconds": 2.0, "samples": 1000, "samples_per_second": 500.0,
                     "peak_memory_bytes": 100 + number, "parameters": 30, "macs": 70},
            "environment": {"python": f"member {number}"},
            "plugins": [self.context.registry.provenance(Net()) | {"version": "0.9"}],
        }  # fmt: skip

    def put(self, key: str, files: Mapping[str, object], number: int | None = None) -> None:
        if self.context.store.has(key):
            return
        with self.context.store.writing(key) as folder:
            for name, content in files.items():
                (folder / name).write_text(json.dumps(content))
            if number is not None:
                logits = self.logits[number % len(self.logits)]
                save_file({"logits": logits, "labels": self.labels}, folder / "logits.safetensors")

    def record(self, *techniques: str) -> dict:
        cell = self.cell(*techniques)
        execute(cell, self.context)
        record = self.context.store.record(cell.key)
        assert record is not None
        return record


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
        ("odd_view[does=half]", "a row whose sum is 0.5 away from 1"),
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
        ({"top1": 1.0}, "'top1', which 'classification' has returned already"),
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


def test_a_record_without_a_failed_metric_does_not_mention_them(bench: Bench) -> None:
    assert "failed_metrics" not in bench.record()


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
