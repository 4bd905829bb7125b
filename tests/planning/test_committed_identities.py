"""The identities of the records that are committed, as the suites that made them are planned today."""

from __future__ import annotations

from pathlib import Path

import pytest

from ltbench.core.folders import data_root
from ltbench.errors import DataError
from ltbench.planning.cell_templates import Wanted
from ltbench.planning.combinations import ordered
from ltbench.planning.parts import make_plan
from ltbench.planning.planner import Planner
from ltbench.records.checked_record import check_identity
from ltbench.records.locations import published
from ltbench.records.record import Record
from ltbench.records.records_file import read_records_file
from ltbench.records.tuning_file import FILE as TUNING
from ltbench.records.tuning_file import read_tuning
from ltbench.registry.registry import Registry
from ltbench.suite.suite import changed, find_suite
from ltbench.suite.tuning import SHARE
from ltbench.tuning.proposals import Proposals
from ltbench.tuning.space import Space

FILES = [place.file for place in published(Path(__file__).resolve().parents[2] / "leaderboards")]


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
    tuned = {cell for row in read_tuning(file.parent / TUNING) for cell in row.cells}
    for record in records:
        check_identity(record)
        assert record.id in plan.jobs or record.id in tuned or averaged_across_a_restart(record), record.label


@pytest.mark.parametrize(
    "file", [file for file in FILES if (file.parent / TUNING).is_file()], ids=lambda file: file.parent.name
)
def test_the_trials_and_choices_of_a_committed_page_are_still_planned(file: Path, registry: Registry) -> None:
    suite = find_suite(file.parent.name, registry)
    assert suite.tune is not None
    plain = changed(suite, tune=None)
    share = suite.tune.held_out or suite.held_out or SHARE
    try:
        final = Planner(plain, registry, data_root())
        trials = Planner(changed(plain, held_out=share), registry, data_root(), trials=suite.tune.seeds)
    except DataError as missing:
        pytest.skip(missing.what)
    tuned = read_tuning(file.parent / TUNING)
    assert tuned
    for row in tuned:
        techniques = [registry.parse(label, stage) for stage, label in row.combination.items() if label]
        space = Space(ordered(techniques), suite.recipe.resolved(), suite.tune)

        def cells(planner: Planner, values: dict[str, object], factor: float, space: Space = space) -> list[str]:
            point = space.with_values(values)
            at = [one for one in planner.settings if one.labels["imbalance_factor"] == factor]
            return [cell.key for cell in planner.add(point.combination, Wanted(point.recipe, at))]

        assert cells(final, row.best.values, row.imbalance_factor) == row.cells
        for trial in row.trials:
            assert cells(trials, trial.values, row.tuned_at) == trial.cells
        proposals = Proposals(space, suite.tune)
        assert [point.values for point in proposals.batch()] == [trial.values for trial in row.trials]
