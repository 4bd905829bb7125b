"""Aggregating 10,000 records into a page: at most 10 CPU seconds; 20,000 of 1,250 rows: 120, and a page below 1 MB.

Absolute times, not ratios: they compare only with runs on the same machine. The size is the same on every machine.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from synthetic import raw, ten_thousand_cells, write_suite_folder

from ltbench.leaderboard.publish import load, read_folder, render, write_folder
from ltbench.records.record import seal


def records() -> Iterator[dict[str, object]]:
    """Yield 500 combinations at 4 factors with 5 seeds, with the confusion matrix of ten classes in each."""
    rng = np.random.default_rng(0)
    for techniques, factor, seed in ten_thousand_cells():
        scores = {"top1": float(rng.normal(0.7, 0.01))}
        confusion = rng.integers(0, 200, (10, 10)).tolist()
        yield seal(raw(techniques, factor, seed, scores, confusion=confusion))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_suite_folder(tmp_path_factory.mktemp("boards") / "large", records())


def test_aggregating_10_000_records(benchmark, folder: Path) -> None:
    seconds: list[float] = []

    def aggregate() -> dict[Path, str]:
        # CPU time of this process, which other processes on the machine hardly change.
        began = time.process_time()
        pages = render(load(folder))
        seconds.append(time.process_time() - began)
        return pages

    pages = benchmark.pedantic(aggregate, rounds=3)
    assert len(pages[folder / "README.md"]) > 100_000
    assert min(seconds) < 10
    benchmark.extra_info |= {"records": 10_000, "cpu_seconds": round(min(seconds), 2)}


def many_rows() -> Iterator[dict[str, object]]:
    """Yield a factorial of 1,250 rows at 4 factors with 4 seeds; an effect of each technique, and rows that share trainings."""
    rng = np.random.default_rng(0)
    sizes = {"sampler": 5, "loss": 10, "weight": 5, "posthoc": 5}
    effects = {stage: [0.0, *rng.normal(0, 0.03, size - 1)] for stage, size in sizes.items()}
    for factor in (10.0, 20.0, 50.0, 100.0):
        for seed in range(4):
            for picks in itertools.product(*map(range, sizes.values())):
                both = list(zip(sizes, picks, strict=True))
                top1 = 0.75 + sum(effects[stage][pick] for stage, pick in both) + rng.normal(0, 0.004)
                techniques = {stage: f"{stage}_{pick}" for stage, pick in both if pick}
                confusion = rng.integers(0, 200, (10, 10)).tolist()
                yield seal(raw(techniques, factor, seed, {"top1": float(top1)}, confusion=confusion))


def test_aggregating_20_000_records_of_1_250_rows(benchmark, tmp_path: Path) -> None:
    folder = write_suite_folder(tmp_path / "probe", many_rows())
    facts, content = read_folder(folder)
    figures = ("head_to_tail", "bars", "cost", "effects", "interactions", "spread")
    facts = msgspec.structs.replace(facts, figures=figures)
    seconds: list[float] = []

    def written() -> None:
        began = time.process_time()
        write_folder(folder, facts, content)
        seconds.append(time.process_time() - began)

    benchmark.pedantic(written, rounds=1)
    page = (folder / "README.md").stat().st_size
    packed = (folder / "records.jsonl.gz").stat().st_size
    assert not (folder / "records.jsonl").exists()
    assert page < 1_000_000
    assert packed < 15_000_000
    assert sum(path.stat().st_size for path in (folder / "figures").iterdir()) < 1_000_000
    assert seconds[0] < 120
    benchmark.extra_info |= {"records": 20_000, "cpu_seconds": round(seconds[0], 2), "page": page, "records_gz": packed}
