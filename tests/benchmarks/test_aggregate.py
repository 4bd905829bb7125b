"""Aggregating 10,000 records into a page: at most 10 CPU seconds.

An absolute time, not a ratio: it compares only with runs on the same machine.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from synthetic import raw, ten_thousand_cells, write_suite_folder

from ltbench.leaderboard.publish import load, render
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
