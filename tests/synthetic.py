"""Synthetic records: valid in every respect, with numbers chosen by a test."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from ltbench.core.spec import PROTOCOL, identity
from ltbench.leaderboard.publish import add_records, read_folder, write_folder
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.leaderboard.tables import table
from ltbench.leaderboard.tables.columns import declared_columns, join_columns
from ltbench.records.agreement import result_digest
from ltbench.records.checked_record import check_identity
from ltbench.records.record import Record, seal, validate
from ltbench.records.records_file import read_records_file, records_file, write_records_file
from ltbench.records.verifications import Rerun, Verification, seal_verification
from ltbench.stages import TECHNIQUE_STAGES, TRAINING_STAGES
from ltbench_plugins.metrics.balanced_accuracy import BalancedAccuracy
from ltbench_plugins.metrics.calibration import Calibration
from ltbench_plugins.metrics.classification import Classification

COLUMNS = declared_columns({kind.name: kind for kind in (BalancedAccuracy, Calibration, Classification)})
"""What the built-in metrics declare."""

SCORES = {
    "top1": 0.7, "macro_f1": 0.69, "many": 0.8, "medium": 0.7, "few": 0.5, "head_third": 0.8, "middle_third": 0.7,
    "tail_third": 0.5, "worst_class": 0.4, "sd_classes": 0.15, "ece": 0.08, "nll": 0.9,
}  # fmt: skip
BASELINES = {"sampler": "shuffle", "loss": "cross_entropy", "view": "identity", "ensemble": "single"}
PLUGINS = ("cb_sampler", "mixup", "label_smooth", "tta")
STAGE_OF = {"cb_sampler": "sampler", "mixup": "mix", "label_smooth": "loss", "tta": "view"}
EFFECT = {"cb_sampler": 0.10, "mixup": -0.03, "label_smooth": 0.005, "tta": 0.008}


def read_jsonl(path: Path) -> list[Record]:
    return read_records_file(path).records


def write_jsonl(path: Path, records: Iterable[Record]) -> None:
    write_records_file(path, records_file(records))


def publish(folder: Path, facts: SuiteFacts, records: Iterable[Mapping[str, object] | Record]) -> list[Path]:
    """Merge records, checked as those of a run are, with those of a suite's folder; return the files written."""
    new = [validate(record) for record in records]
    for record in new:
        check_identity(record)
    before, old = read_folder(folder)
    facts = msgspec.structs.replace(facts, columns=join_columns(facts.columns, before.columns))
    return write_folder(folder, facts, add_records(old, new))[0]


def technique(name: str, **params: object) -> dict[str, object]:
    return {"name": name, "distribution": "ltbench", "revision": 1, "params": params}


def provenance(name: str, stage: str, **changes: object) -> dict[str, object]:
    built_in = {
        "name": name,
        "stage": stage,
        "distribution": "ltbench",
        "version": "0.1.0",
        "revision": 1,
        "source": "ab12",
    }
    return built_in | changes


def raw(
    techniques: Mapping[str, str] = {},
    factor: float = 100.0,
    seed: int = 0,
    scores: Mapping[str, float | None] = {},
    *,
    dataset: str = "fashion_mini",
    classes: Sequence[str] = tuple("abcdefghij"),
    error: Mapping[str, str] | None = None,
    epochs: int = 20,
    **changes: object,
) -> dict[str, object]:
    """Return an unsealed record. techniques: stage -> name; scores: those that differ from `SCORES`."""
    picked = {stage: techniques.get(stage) for stage in TECHNIQUE_STAGES}
    spec_of = {s: None if n is None else technique(n) for s, n in (BASELINES | dict(techniques)).items()}
    recipe = {"epochs": epochs, "batch_size": 64, "precision": "fp32"}
    fit = {
        "kind": "fit",
        "protocol": PROTOCOL,
        "data": {
            "dataset": technique(dataset),
            "fingerprint": "f00d",
            "profile": technique("exp"),
            "imbalance_factor": factor,
            "subset_seed": seed,
        },
        "bag": None,
        "model": technique("convnet"),
        "recipe": recipe,
        "seed": seed,
        "segments": [
            {"until": 1.0, "trainable": "all", "restart": False, "lr_scale": 1.0}
            | {stage: spec_of.get(stage) for stage in TRAINING_STAGES}
        ],
    }
    spec = {
        "kind": "cell",
        "protocol": PROTOCOL,
        "members": [identity(fit)],
        "view": spec_of["view"],
        "posthoc": spec_of.get("posthoc"),
        "ensemble": spec_of["ensemble"],
    }
    many = len(classes)
    counts = [max(1, int(600 * factor ** (-c / max(1, many - 1)))) for c in range(many)]
    made: dict[str, object] = {
        "id": identity(spec),
        "status": "failed" if error else "ok",
        "protocol": PROTOCOL,
        "spec": spec,
        "fits": [fit],
        "setting": {"dataset": dataset, "profile": "exp", "imbalance_factor": factor, "model": "convnet",
                    "subset_seed": seed, "seed": seed},
        "combination": picked,
        "recipe": recipe,
        "notes": [],
    }  # fmt: skip
    if error:
        return made | {"error": dict(error)} | changes
    made |= {
        "metrics": SCORES | dict(scores),
        "per_class": {"accuracy": [0.5] * many, "support": [200] * many},
        "data": {"counts": counts, "imbalance_factor": counts[0] / counts[-1], "gini": 0.5, "classes": list(classes),
                 "size": 28, "channels": 1},
        "cost": {"train_seconds": 4.2 + seed, "predict_seconds": 0.1, "samples": 29_700, "parameters": 24_234,
                 "macs": 1_234_567 * (2 if techniques.get("view") else 1)},
        "environment": {"python": "3.12"},
        "plugins": [provenance(name, stage) for stage, name in (BASELINES | dict(techniques)).items() if name],
    }  # fmt: skip
    return made | changes


def record(*args: object, **kwargs: object) -> Record:
    """Return a sealed record; parameters as for `raw`."""
    return validate(seal(raw(*args, **kwargs)))  # type: ignore[arg-type]


def identified(made: dict[str, object]) -> Record:
    """Return the record of a changed specification, sealed under the identity that the change gives it."""
    made["spec"]["members"] = [identity(made["fits"][0])]  # type: ignore[index]
    return validate(seal(made | {"id": identity(made["spec"])}))  # type: ignore[arg-type]


def verification(records: Sequence[Record], **changes: object) -> Verification:
    """Return a sealed verification of all records, of which the first was rerun."""
    facts = {
        "ltbench": "0.2.0", "protocols": ["ltb1"], "cells": {r.id: result_digest(r) for r in records}, "records": "",
        "recomputed": 0, "rerun": [Rerun(id=records[0].id, same=True, gap=0.0)], "seed": 7, "tolerance": None,
    }  # fmt: skip
    return seal_verification(Verification(**facts | changes))


def boards(records: Iterable[Record], seeds: Iterable[tuple[int, int]] = ()) -> list[table.Board]:
    """Return the boards of records whose numbers are shown as the built-in metrics declare."""
    return table.make_boards(records, seeds, COLUMNS)


def combinations(names: Sequence[str] = PLUGINS) -> list[dict[str, str]]:
    """Return every combination of techniques, the baseline first."""
    return [
        {STAGE_OF[name]: name for name in picked}
        for size in range(len(names) + 1)
        for picked in itertools.combinations(names, size)
    ]


def suite(
    factors: Iterable[float] = (10.0, 50.0, 100.0), seeds: Iterable[int] = (0, 1, 2), names: Sequence[str] = PLUGINS
) -> list[Record]:
    """Return the records of a suite, with effects and noise as large as real ones."""
    rng = np.random.default_rng(7)
    made = []
    for factor in factors:
        for seed in seeds:
            seed_effect = rng.normal(0, 0.008)  # shared by all combinations of a seed, so that comparisons are paired
            for techniques in combinations(names):
                effect = sum(EFFECT[name] for name in techniques.values()) * np.log10(factor) / 2
                top1 = 0.86 - 0.115 * np.log10(factor) + effect + seed_effect + rng.normal(0, 0.004)
                tail = float(np.clip(top1 - 0.25 + 1.2 * effect + rng.normal(0, 0.02), 0.01, 0.99))
                scores = {
                    "top1": float(top1), "macro_f1": float(top1 - 0.01), "many": float(top1 + 0.1),
                    "medium": float(top1 - 0.02), "few": tail if factor > 30 else None, "worst_class": tail / 2,
                    "sd_classes": float(0.25 - effect), "ece": float(abs(0.1 + rng.normal(0, 0.02))),
                }  # fmt: skip
                made.append(record(techniques, factor, seed, scores))
    return made


def write_suite_folder(folder: Path, records: Iterable[Mapping[str, object]]) -> Path:
    """Write records and facts of a suite with five seeds to a folder, as a run publishes them; return the folder."""
    folder.mkdir()
    with (folder / "records.jsonl").open("wb") as file:
        for record in records:
            file.write(msgspec.json.encode(record) + b"\n")
    facts = SuiteFacts(name=folder.name, seeds=tuple((seed, seed) for seed in range(5)), columns=COLUMNS)
    (folder / "suite.json").write_bytes(msgspec.json.encode(facts))
    return folder


def ten_thousand_cells() -> Iterator[tuple[dict[str, str], float, int]]:
    """Yield techniques by stage, imbalance factor and seed: 500 combinations at 4 factors with 5 seeds."""
    for number in range(500):
        techniques = {}
        for stage, size in {"sampler": 4, "mix": 5, "loss": 5, "view": 5}.items():
            number, pick = divmod(number, size)  # noqa: PLW2901
            if pick:
                techniques[stage] = f"{stage}_{pick}"
        for factor in (10.0, 20.0, 50.0, 100.0):
            for seed in range(5):
                yield techniques, factor, seed
