"""The identities of the records that are committed, as the suites that made them are planned today."""

from __future__ import annotations

from pathlib import Path

import pytest

from ltbench.core.folders import data_root
from ltbench.errors import DataError
from ltbench.planning.parts import make_plan
from ltbench.records.record import Record, check_identity
from ltbench.records.records_file import read_records_file
from ltbench.registry.registry import Registry
from ltbench.suite.suite import find_suite

FILES = sorted((Path(__file__).resolve().parents[2] / "leaderboards").glob("*/records.jsonl"))


def averaged_across_a_restart(record: Record) -> bool:
    """Whether a moving average went on through a restart, as under the first version; such cells are planned anew."""
    return "ema" in record.recipe and any(
        segment["restart"] and "average" not in segment for fit in record.fits for segment in fit["segments"]
    )


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
def test_the_suite_of_a_committed_record_still_plans_its_cell(file: Path, registry: Registry) -> None:
    try:
        plan = make_plan(find_suite(file.parent.name, registry), registry, data_root())
    except DataError as missing:
        pytest.skip(missing.what)
    records = read_records_file(file).records
    assert records
    for record in records:
        check_identity(record)
        assert record.id in plan.jobs or averaged_across_a_restart(record), record.label
