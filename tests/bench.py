"""A store with the fits and predictions of a cell, made without any training, and techniques for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from ltbench.core.spec import Job
from ltbench.executor import Context
from ltbench.executors.execute import execute
from ltbench.planning.parts import make_plan
from ltbench.planning.plan import Plan
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


class Bench:
    """A store with the fits and predictions of one cell, without any training."""

    def __init__(self, root: Path, registry: Registry) -> None:
        self.context = Context(store=Store(root), registry=registry, data_root=root)
        self.logits = [LOGITS]
        self.labels = LABELS
        self.counts = [200, 63, 20]
        self.held_out = 0.0
        """The share of the suite. Predictions of held-out images have the same logits, in reverse order."""

    def plan(self, *techniques: str) -> Plan:
        suite = changed(
            find_suite("quick", self.context.registry), datasets=["few_images"], models=["some_net"],
            imbalance_factors=[10], seeds=[0], techniques=techniques, held_out=self.held_out,
        )  # fmt: skip
        return make_plan(suite, self.context.registry, Path())

    def cell(self, *techniques: str) -> Job:
        """Return the cell that has all the techniques, with everything it needs in the store."""
        plan = self.plan(*techniques)
        cell = max(plan.cells, key=lambda job: sum(v is not None for v in job.extra["combination"].values()))
        for number, key in enumerate(dict.fromkeys(cell.spec["members"])):
            self.put(key, {"meta.json": self.fit_meta(number)})
        for number, key in enumerate(cell.parents):
            meta = {"spec": plan.jobs[key].spec, "cost": {"predict_seconds": 0.25}, "plugins": []}
            self.put(key, {"meta.json": meta}, number)
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
                if files["meta.json"]["spec"]["split"] == "held_out":
                    logits = logits[::-1].copy()
                save_file({"logits": logits, "labels": self.labels}, folder / "logits.safetensors")

    def record(self, *techniques: str) -> dict:
        cell = self.cell(*techniques)
        execute(cell, self.context)
        record = self.context.store.record(cell.key)
        assert record is not None
        return record
