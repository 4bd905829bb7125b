"""Reading 10,000 records of 100 classes, in both forms; a record of 8,142 classes written and read, and its peak memory.

Times compare only with runs on the same machine, so none is asserted. Sizes are the same on every machine.
"""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from synthetic import raw, ten_thousand_cells

from ltbench.confusion import Confusion
from ltbench.core.spec import canonical
from ltbench.records import numbers as numbers_module
from ltbench.records.record import seal, validate
from ltbench.records.records_file import RecordsFile, read_records_file, records_file, write_records_file


def confused(rng: np.random.Generator, classes: int, images: int, right: float) -> dict[str, object]:
    """Return the numbers of predictions: wrong ones go to near classes more often, as those of networks do."""
    labels = np.arange(images) % classes
    near = (labels + rng.geometric(8 / classes, images)) % classes
    confusion = Confusion.of(labels, np.where(rng.random(images) < right, labels, near), classes)
    recall = confusion.recall()
    per_class = {"accuracy": recall, "recall": recall, "precision": confusion.precision(), "f1": confusion.f1(),
                 "support": confusion.support.tolist()}  # fmt: skip
    return {"confusion": confusion, "per_class": per_class}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a file of 10,000 records of 100 classes as earlier versions wrote it, and as it is written now."""
    folder, rng = tmp_path_factory.mktemp("records"), np.random.default_rng(0)
    names = [f"class {c}" for c in range(100)]
    # A thousand matrices, as drawing them takes longer than all else.
    numbers = [confused(rng, 100, 10_000, 0.5) for _ in range(1_000)]
    packed = numbers_module.READABLE
    paths = {form: folder / f"{form}.jsonl" for form in ("lists", "packed")}
    with paths["lists"].open("wb") as lists, paths["packed"].open("wb") as short:
        for number, (techniques, factor, seed) in enumerate(ten_thousand_cells()):
            fields = raw(techniques, factor, seed, classes=names, **numbers[number % 1_000])
            try:
                numbers_module.READABLE = 100
                lists.write(canonical(seal(fields)) + b"\n")
            finally:
                numbers_module.READABLE = packed
            short.write(canonical(seal(fields)) + b"\n")
    return paths


@pytest.mark.parametrize("form", ["lists", "packed"])
def test_reading_10_000_records_of_100_classes(benchmark, files: dict[str, Path], form: str) -> None:
    seconds: list[float] = []

    def read() -> RecordsFile:
        began = time.process_time()
        found = read_records_file(files[form])
        seconds.append(time.process_time() - began)
        return found

    found = benchmark.pedantic(read, rounds=2)
    assert len(found.records) == 10_000
    benchmark.extra_info |= {"cpu_seconds": round(min(seconds), 2), "bytes": files[form].stat().st_size}


def test_a_record_of_8142_classes_written_and_read(benchmark, tmp_path: Path) -> None:
    fields = raw(
        classes=[f"Plantae speciosa {c:05d}" for c in range(8142)],
        **confused(np.random.default_rng(0), 8142, 24_426, 0.6),
    )
    path = tmp_path / "records.jsonl"

    def written_and_read() -> RecordsFile:
        write_records_file(path, records_file([validate(seal(fields))]))
        return read_records_file(path)

    found = benchmark.pedantic(written_and_read, rounds=5, warmup_rounds=1)
    assert found.records[0].confusion == fields["confusion"]
    tracemalloc.start()
    written_and_read()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert path.stat().st_size < 1_000_000
    benchmark.extra_info |= {"bytes": path.stat().st_size, "peak_bytes": peak}
